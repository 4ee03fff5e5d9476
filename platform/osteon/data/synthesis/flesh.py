"""Skin, fat and the muscle that nobody labelled, between the labelled structures and the air."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.data.phantom.body import FAT_HU, MUSCLE_HU, SKIN_HU
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Field
from osteon.data.phantom.tissue import Canvas
from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.hull import CELL_MM
from osteon.data.synthesis.lattice import Lattice, blank
from osteon.data.synthesis.pose import Pose
from osteon.data.synthesis.texture import Texture

_SKIN_MM = 1.5
_OUTLINE_MARGIN_MM = 80.0  # as far as the thickest fat reaches


@dataclass(frozen=True)
class Flesh:
    """One case's flesh in the scanner.

    Attributes:
        surface: millimetres to the flesh under the fat, negative inside.
        hollow: millimetres to the nearest organ of belly or chest.
        fat_mm: usual thickness of the fat under the skin.
        wall_mm: of the muscle between that fat and the hollow.
        visceral_share: how much of the hollow between organs is fat rather than flesh, -1 (all flesh) to 1.
        fat_hu: of fat.
        muscle_hu: of muscle.
    """

    surface: Lattice
    hollow: Lattice
    fat_mm: float
    wall_mm: float
    visceral_share: float
    fat_hu: float
    muscle_hu: float

    @classmethod
    def of(cls, person: Person, anatomy: Anatomy, pose: Pose) -> Flesh:
        """Draw a case's fat and muscle round a posed anatomy."""
        low, high = pose.box
        m = _OUTLINE_MARGIN_MM
        nodes = blank(((low[0], low[1] - m, low[2] - m), (high[0], high[1] + m, high[2] + m)), CELL_MM)
        surface, hollow = anatomy.hull.at(*pose.index(nodes.block))
        fat = person.between("fat", 0.0, 1.0)
        return cls(
            Lattice(surface, nodes.first_mm, CELL_MM),
            Lattice(hollow, nodes.first_mm, CELL_MM),
            3.0 + 34.0 * fat * fat,
            person.between("wall", 4.0, 16.0),
            person.between("visceral", -0.6, 1.0),
            FAT_HU + person.about("fat hu", 14.0),
            MUSCLE_HU + person.between("muscle hu", -30.0, 10.0),
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
        fat: Field = np.float32(self.fat_mm) * (1.0 + np.float32(0.25) * texture.folds)
        pressed = np.maximum(depth, fat - table_mm)
        canvas.cover(pressed - fat, SKIN_HU)
        canvas.cover(pressed - fat + np.float32(_SKIN_MM), self.fat_hu + np.float32(7.0) * texture.lumps)
        sheets: Field = np.clip(1.0 - np.float32(8.0) * np.abs(texture.folds), 0.0, 1.0)
        canvas.cover(pressed, self.muscle_hu + np.float32(9.0) * texture.lumps - np.float32(110.0) * sheets)
        between = np.maximum(self.hollow.at(canvas.block) - np.float32(18.0), depth + np.float32(self.wall_mm))
        loose = np.where(texture.folds + texture.lumps < self.visceral_share, self.fat_hu, self.muscle_hu - 20.0)
        canvas.cover(between, loose.astype(np.float32))
