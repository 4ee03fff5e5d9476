"""One case before it is exposed: everything that was drawn for it, painted slab by slab in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3
from osteon.core.volume import Array
from osteon.data.phantom.body import AIR_HU
from osteon.data.phantom.person import Person
from osteon.data.phantom.scanner import Integers, Table
from osteon.data.phantom.shapes import Block, Field
from osteon.data.phantom.tissue import Canvas
from osteon.data.synthesis.anatomy import DEPTH_STEP_MM, Anatomy
from osteon.data.synthesis.bone import Bones
from osteon.data.synthesis.exposure import SIXTEENTHS
from osteon.data.synthesis.flesh import Flesh
from osteon.data.synthesis.metal import Metal
from osteon.data.synthesis.organs import Organs
from osteon.data.synthesis.pose import Pose
from osteon.data.synthesis.texture import Textures
from osteon.data.synthesis.view import box_of

_SLAB_VOXELS = 1 << 21  # painted at a time
_MOST_SUBVOXELS = 4  # along an axis: thicker voxels are sampled, not filled


@dataclass(frozen=True)
class Scene:
    """What lies in the scanner, and where it is looked at.

    Attributes:
        anatomy: whose structures are drawn.
        pose: how they lie.
        flesh: the soft tissue that nobody labelled.
        organs: the soft tissue that was labelled.
        bones: the bones.
        metal: an implant, or none.
        textures: of all of these.
        table: what the body lies on.
        grid: the voxels of the scan.
    """

    anatomy: Anatomy
    pose: Pose
    flesh: Flesh
    organs: Organs
    bones: Bones
    metal: Metal
    textures: Textures
    table: Table
    grid: Grid

    @classmethod
    def of(cls, person: Person, anatomy: Anatomy, pose: Pose, flesh: Flesh, grid: Grid) -> Scene:
        """Draw what is left to draw of a case."""
        nodes = flesh.surface.block
        return cls(
            anatomy,
            pose,
            flesh,
            Organs.of(person, anatomy.table),
            Bones.of(person, anatomy),
            Metal.of(person, anatomy),
            Textures.of(person, box_of(grid)),
            Table.under(flesh.skin(nodes), nodes),
            grid,
        )

    def fine_hu(self) -> Integers:
        """The mean HU of every voxel of the grid, in sixteenths: it is painted in subvoxels about as small as the
        anatomy's voxels, and averaged (the partial volume effect)."""
        parts = self._subvoxels()
        mean = np.empty(self.grid.shape, dtype=np.int32)
        for planes, block in _slabs(self.grid, parts):
            painted = np.rint(self._paint(block) * np.float32(SIXTEENTHS)).astype(np.int32)
            z, y, x = mean[planes].shape
            whole = painted.reshape(z, parts[0], y, parts[1], x, parts[2])
            mean[planes] = whole.sum(axis=(1, 3, 5)) // (parts[0] * parts[1] * parts[2])
        return mean

    def structures(self) -> npt.NDArray[np.generic]:
        """The structure at the centre of every voxel of the grid."""
        found = np.empty(self.grid.shape, dtype=self.anatomy.structure.dtype)
        for planes, block in _slabs(self.grid, (1, 1, 1)):
            found[planes] = self.anatomy.structure.ravel()[self._places(block)]
        return found

    def _subvoxels(self) -> Index3:
        z, y, x = (min(max(1, round(s / self.anatomy.voxel_mm)), _MOST_SUBVOXELS) for s in self.grid.spacing_mm)
        return (z, y, x)

    def _places(self, block: Block) -> npt.NDArray[np.int32]:
        return self.anatomy.at(*self.pose.index(block))

    def _paint(self, block: Block) -> Field:
        """HU at the voxel centres of a block."""
        places = self._places(block)
        structure: Array = self.anatomy.structure.ravel()[places]
        depth_mm: Field = self.anatomy.depth.ravel()[places] * np.float32(DEPTH_STEP_MM)
        texture = self.textures.at(block)
        canvas = Canvas(block, self.anatomy.voxel_mm, AIR_HU)
        self.table.paint(canvas)
        self.flesh.paint(canvas, self.table.distance(block), texture)
        self.organs.paint(canvas.hu, structure, depth_mm, texture)
        self.bones.paint(canvas.hu, structure, depth_mm, self.anatomy.voxel_mm, texture)
        self.metal.paint(canvas.hu, structure, depth_mm)
        return canvas.hu


def _slabs(grid: Grid, parts: Index3) -> Iterator[tuple[slice, Block]]:
    """Runs of planes, and the centres of their subvoxels."""
    z, y, x = (_centres(grid, axis, parts[axis]) for axis in range(3))
    count = max(1, _SLAB_VOXELS // (parts[0] * y.size * x.size))
    for first in range(0, grid.shape[0], count):
        planes = slice(first, min(first + count, grid.shape[0]))
        rows = z[planes.start * parts[0] : planes.stop * parts[0]]
        yield planes, Block((0, 0, 0), rows[:, None, None], y[None, :, None], x[None, None, :])


def _centres(grid: Grid, axis: int, parts: int) -> npt.NDArray[np.float32]:
    step = grid.spacing_mm[axis] / parts
    first = grid.origin_mm[axis] - 0.5 * (parts - 1) * step
    return (np.arange(grid.shape[axis] * parts) * step + first).astype(np.float32)
