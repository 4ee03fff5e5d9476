"""Who lies on the table: everything that differs from case to case, drawn from the seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

from osteon.data.phantom.bones import Wall
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.frame import Frame


@dataclass(frozen=True)
class Person:
    """One phantom's body; each property has a stream of its own, so that a new one changes no other.

    Attributes:
        seed: of the whole set of phantoms.
        case: number in the set.
    """

    seed: int
    case: int

    def draws(self, what: str) -> Draws:
        """The stream of draws for one property."""
        return Draws(self.seed, self.case, zlib.crc32(what.encode()))

    def about(self, what: str, spread: float) -> float:
        """A deviation within ±spread, likelier small."""
        return self.draws(what).about(spread)

    def between(self, what: str, low: float, high: float) -> float:
        """A value in [low, high)."""
        return self.draws(what).uniform(low, high)

    @cached_property
    def scale(self) -> float:
        """Stature: 1 is 1.75 m."""
        return 1.0 + self.about("stature", 0.07)

    @cached_property
    def breadth(self) -> float:
        """Width of pelvis and thorax against stature."""
        return 1.0 + self.about("breadth", 0.05)

    @cached_property
    def fat_mm(self) -> float:
        """Thickness of the fat under the skin of the flank."""
        return self.between("fat", 8.0, 26.0)

    @cached_property
    def contrast_hu(self) -> float:
        """What contrast agent adds to blood: nothing in every other case."""
        draws = self.draws("contrast")
        return draws.uniform(70.0, 190.0) if draws.chance(0.5) else 0.0

    def wall(self, cortex_mm: float, cortex_hu: float, core_hu: float) -> Wall:
        """A bone wall of the thickness and density given, as this person's bones are."""
        density = 1.0 + self.about("density", 0.22)
        thickness = 1.0 + self.about("cortex", 0.2)
        return Wall(cortex_mm * thickness, cortex_hu * (0.5 + 0.5 * density), core_hu * density)

    def body(self) -> Frame:
        """The body's frame: between the hip joints, turned as the person lies, placed somewhat off the centre."""
        frame = Frame((self.about("shift z", 4.0), self.about("shift y", 8.0), self.about("shift x", 10.0)))
        frame = frame.yawed(self.about("yaw", 7.0)).leaned(self.about("lean", 4.0)).pitched(self.about("pitch", 3.0))
        return frame.moved((0.0, 0.0, 0.0), self.scale)
