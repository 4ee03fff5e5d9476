"""The three random fields that all textures of a case are made of: the fields and one slab's values."""

from __future__ import annotations

from dataclasses import dataclass

from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Box, Field
from osteon.data.synthesis.lattice import Lattice, waves

_GRAIN_MM, _LUMPS_MM, _FOLDS_MM = 4.0, 10.0, 30.0


@dataclass(frozen=True)
class Texture:
    """Values at a slab's voxels, each of mean 0; near 1 (positive or negative) is seldom.

    Attributes:
        grain: trabeculae and stool.
        lumps: lobules of fat, vessels of the lung.
        folds: gas beside fluid in the bowel, fat between muscles, thick and thin fat.
    """

    grain: Field
    lumps: Field
    folds: Field


@dataclass(frozen=True)
class Textures:
    """The fields of a whole scan."""

    grain: Lattice
    lumps: Lattice
    folds: Lattice

    @classmethod
    def of(cls, person: Person, box: Box) -> Textures:
        """Draw them for a part of the scanner."""
        sizes = {"grain": _GRAIN_MM, "lumps": _LUMPS_MM, "folds": _FOLDS_MM}
        return cls(**{name: waves(person.draws(name), box, size) for name, size in sizes.items()})

    def at(self, block: Block) -> Texture:
        """Their values at a block's voxel centres."""
        return Texture(self.grain.at(block), self.lumps.at(block), self.folds.at(block))
