"""What nobody labelled, between the labelled structures and the air: skin, fat, muscle, and organs at a guess."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteon.data.phantom.body import FAT_HU, MUSCLE_HU, SKIN_HU
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Field
from osteon.data.phantom.tissue import Canvas
from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.hull import CELL_MM, between
from osteon.data.synthesis.lattice import Lattice, blank
from osteon.data.synthesis.pose import Pose
from osteon.data.synthesis.texture import Texture
from osteon.data.synthesis.tissue import Contrast

_SKIN_MM = 1.5
_OUTLINE_MARGIN_MM = 80.0  # as far as the thickest fat reaches
_GAS_HU, _LUNG_HU = -960.0, -830.0
_GAS_ABOVE, _BLOOD_BELOW, _HEART_ABOVE = 0.9, -0.8, 0.5  # of the folds: where made-up organs lie


@dataclass(frozen=True)
class Flesh:
    """One case's flesh in the scanner.

    Attributes:
        surface: millimetres to the flesh under the fat, negative inside.
        hollow: millimetres to the nearest organ of belly or chest.
        chest: millimetres to the inner side of the ribs, negative inside; None if the lungs are labelled.
        is_bare: whether nothing but bones is labelled, so that organs have to be made up.
        fat_mm: usual thickness of the fat under the skin.
        wall_mm: of the muscle between that fat and the hollow.
        visceral_share: how much of the hollow between organs is fat rather than flesh, -1 (all flesh) to 1.
        fat_hu: of fat.
        muscle_hu: of muscle.
        blood_hu: of blood.
    """

    surface: Lattice
    hollow: Lattice
    chest: Lattice | None
    is_bare: bool
    fat_mm: float
    wall_mm: float
    visceral_share: float
    fat_hu: float
    muscle_hu: float
    blood_hu: float

    @classmethod
    def of(cls, person: Person, anatomy: Anatomy, pose: Pose) -> Flesh:
        """Draw a case's fat and muscle round a posed anatomy."""
        low, high = pose.box
        m = _OUTLINE_MARGIN_MM
        nodes = blank(((low[0], low[1] - m, low[2] - m), (high[0], high[1] + m, high[2] + m)), CELL_MM)
        hull, fat = anatomy.hull, person.between("fat", 0.0, 1.0)
        places = hull.places(*pose.index(nodes.block))
        chest = None if hull.chest is None else replace(nodes, values=between(hull.chest, places))
        return cls(
            replace(nodes, values=between(hull.flesh, places)),
            replace(nodes, values=between(hull.hollow, places)),
            chest,
            hull.is_bare,
            3.0 + 34.0 * fat * fat,
            person.between("wall", 4.0, 16.0),
            person.between("visceral", -0.6, 1.0),
            FAT_HU + person.about("fat hu", 14.0),
            MUSCLE_HU + person.between("muscle hu", -30.0, 10.0),
            45.0 + Contrast.of(person).blood_hu,
        )

    def skin(self, block: Block) -> Field:
        """Millimetres to the skin, negative inside; the fat's waves not counted."""
        distance: Field = self.surface.at(block) - np.float32(self.fat_mm)
        return distance

    def paint(self, canvas: Canvas, table_mm: Field, texture: Texture) -> None:
        """Paint everything within the skin as if nothing were labelled.

        Args:
            canvas: with the table on it.
            table_mm: distance to the table's top, negative where it is: it presses the back flat.
            texture: at the canvas's voxels.
        """
        depth = self.surface.at(canvas.block)
        fat: Field = np.float32(self.fat_mm) * (1.0 + np.float32(0.12) * texture.folds)
        pressed = np.maximum(depth, fat - table_mm)
        canvas.cover(pressed - fat, SKIN_HU)
        canvas.cover(pressed - fat + np.float32(_SKIN_MM), self.fat_hu + np.float32(7.0) * texture.lumps)
        sheets: Field = np.clip(1.0 - np.float32(8.0) * np.abs(texture.folds), 0.0, 1.0)
        canvas.cover(pressed, self.muscle_hu + np.float32(9.0) * texture.lumps - np.float32(110.0) * sheets)
        inside = np.maximum(self.hollow.at(canvas.block) - np.float32(18.0), depth + np.float32(self.wall_mm))
        loose = np.where(texture.folds + texture.lumps < self.visceral_share, self.fat_hu, self.muscle_hu - 20.0)
        if self.is_bare:
            loose = np.where(texture.folds > _GAS_ABOVE, np.float32(_GAS_HU), loose)
            loose = np.where(texture.folds < _BLOOD_BELOW, np.float32(self.blood_hu), loose)
        canvas.cover(inside, loose.astype(np.float32))
        if self.chest is not None:
            self._fill_chest(canvas, self.chest, texture)

    def _fill_chest(self, canvas: Canvas, chest: Lattice, texture: Texture) -> None:
        """Lung, with lumps of blood for heart and vessels."""
        blood = texture.folds + np.float32(0.4) * texture.lumps > _HEART_ABOVE
        lung = np.float32(_LUNG_HU) + np.float32(40.0) * texture.lumps
        canvas.cover(chest.at(canvas.block), np.where(blood, np.float32(self.blood_hu), lung))
