"""Metal: now and then a bone has a nail, a stem or a screw in its core, as bright as HU go, and noise round it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.core.volume import Array
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Field
from osteon.data.synthesis.anatomy import DEPTH_STEP_MM, Anatomy

METAL_SHARE = 0.06
METAL_HU = 6000.0  # scanners clip it; what is averaged with its surroundings is not clipped yet
_WITH_IMPLANTS = ("femur", "hip", "humerus", "vertebrae_L", "vertebrae_T1")


@dataclass(frozen=True)
class Metal:
    """One case's implant.

    Attributes:
        bone: id of the bone it is in; 0 for none.
        beneath_mm: it fills the bone deeper than this.
    """

    bone: int = 0
    beneath_mm: float = 0.0

    @classmethod
    def of(cls, person: Person, anatomy: Anatomy) -> Metal:
        """Draw an implant, or none."""
        draws = person.draws("metal")
        fitting = sorted(name for name in anatomy.bones if name.startswith(_WITH_IMPLANTS))
        if not fitting or not draws.chance(METAL_SHARE):
            return cls()
        bone = anatomy.table.ids[fitting[int(draws.uniform(0.0, len(fitting)))]]
        reach = int(np.max(anatomy.depth, where=anatomy.structure == bone, initial=0)) * DEPTH_STEP_MM
        return cls(bone, reach * draws.uniform(0.45, 0.75))

    def paint(self, hu: Field, structure: Array, depth_mm: Field) -> None:
        """Paint it over ``hu``."""
        if self.bone:
            np.copyto(hu, np.float32(METAL_HU), where=(structure == self.bone) & (depth_mm > self.beneath_mm))
