"""How long the parts of a body are against each other: the pelvis short and the spine long, or the other way round.

A network that has seen one body knows a vertebra by its distance from the pelvis, which no other body shares. Where
each stretch of the body has a length of its own, what is left is to count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field

_PART_MM = 120.0  # about the height of a sacrum, or of four vertebrae
_LENGTH = (0.72, 1.35)  # chosen: two people's pelvis and lumbar spine differed by 1.3 against each other


@dataclass(frozen=True)
class Proportions:
    """The parts of a body from below to above, each as long as it was drawn.

    Attributes:
        starts_mm: where each part starts, above the body's middle as it is drawn.
        lengths_mm: of each part as it is drawn.
        shares: each part's length against its own.
        below_mm: height of the lowest point in the body's own millimetres, under its middle.
    """

    starts_mm: tuple[float, ...]
    lengths_mm: tuple[float, ...]
    shares: tuple[float, ...]
    below_mm: float

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
        return cls(tuple(starts), tuple(lengths), tuple(shares), low)

    @property
    def ends_mm(self) -> tuple[float, float]:
        """Lowest and highest point of the body as it is drawn."""
        return self.starts_mm[0], self.starts_mm[-1] + self.lengths_mm[-1]

    def shift(self, z_mm: Field) -> Field:
        """What a height as drawn is to be raised by for the body's own height, in millimetres."""
        field = np.full_like(z_mm, self.below_mm - self.starts_mm[0])
        for start, length, share in zip(self.starts_mm, self.lengths_mm, self.shares, strict=True):
            field += np.float32(1.0 / share - 1.0) * np.clip(z_mm - np.float32(start), 0.0, np.float32(length))
        return field
