"""How long and how high the parts of a body are against each other: the spine longer or shorter than another's, and
what lies beside it, hips, ribs and kidneys, higher or lower along it.

A network that has seen one body knows a vertebra by its distance from the sacrum or by the iliac crest beside it, and
both differ from body to body. What holds for all of them is to count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field

_PART_MM = 120.0  # about the height of a sacrum, or of four vertebrae
_SLIDE_MM = 30.0  # chosen: the iliac crests lie at L4 in one person and under it in another, and may reach L3 or S1
_BESIDE_MM = 90.0  # from the middle of the spine: from here on all is beside it
_LENGTH = (0.72, 1.35)  # chosen: two people's pelvis and lumbar spine differed by 1.3 against each other


@dataclass(frozen=True)
class Proportions:
    """The parts of a body from below to above, each as long as it was drawn.

    Attributes:
        starts_mm: where each part starts, above the body's middle as it is drawn.
        lengths_mm: of each part as it is drawn.
        shares: each part's length against its own.
        below_mm: height of the lowest point in the body's own millimetres, under its middle.
        slide_mm: how much lower what is beside the spine lies along it.
    """

    starts_mm: tuple[float, ...]
    lengths_mm: tuple[float, ...]
    shares: tuple[float, ...]
    below_mm: float
    slide_mm: float

    @classmethod
    def of(cls, person: Person, height_mm: float) -> Proportions:
        """Draw the lengths of a body's parts; its middle stays where it is."""
        low = -0.5 * height_mm
        own = [min(_PART_MM, height_mm - start) for start in np.arange(0.0, height_mm, _PART_MM).tolist()]
        shares = [person.between(f"length {k}", *_LENGTH) for k in range(len(own))]
        lengths = [mm * share for mm, share in zip(own, shares, strict=True)]
        edges = [low + sum(own[:k]) for k in range(len(own))]
        under = sum(min(max(-edge, 0.0), mm) * share for edge, mm, share in zip(edges, own, shares, strict=True))
        starts = [sum(lengths[:k]) - under for k in range(len(own))]
        return cls(tuple(starts), tuple(lengths), tuple(shares), low, person.between("slide", -_SLIDE_MM, _SLIDE_MM))

    @property
    def ends_mm(self) -> tuple[float, float]:
        """Lowest and highest point of the body as it is drawn."""
        return self.starts_mm[0], self.starts_mm[-1] + self.lengths_mm[-1]

    def shift(self, z_mm: Field, x_mm: Field) -> Field:
        """What a place as drawn is to be raised by for the body's own height, in millimetres.

        Args:
            z_mm: height above the body's middle, as drawn.
            x_mm: distance from the plane between its halves, to either side.
        """
        aside = np.clip(np.abs(x_mm) * np.float32(1.0 / _BESIDE_MM), 0.0, 1.0)
        slid: Field = np.float32(self.slide_mm) * (aside * aside * (3.0 - 2.0 * aside))
        field = slid + np.float32(self.below_mm - self.starts_mm[0])
        for start, length, share in zip(self.starts_mm, self.lengths_mm, self.shares, strict=True):
            within = np.clip(z_mm + slid - np.float32(start), 0.0, np.float32(length))
            field = field + np.float32(1.0 / share - 1.0) * within
        return field
