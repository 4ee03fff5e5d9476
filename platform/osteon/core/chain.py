"""How a derived volume came from a scan: steps that move its grid and its millimetres, and can all be undone.

A chain says where derived voxels lie; it touches no voxel. Whoever makes or restores voxels composes the whole chain
into one affine first, so that however many steps there are, every voxel is interpolated once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3, Matrix9, Vector3

Affine = npt.NDArray[np.float64]  # 4x4


@dataclass(frozen=True)
class Crop:
    """A block of voxels is kept; nothing moves.

    Attributes:
        start: first voxel kept, z, y, x.
        shape: voxels kept.
    """

    start: Index3
    shape: Index3
    kind: Literal["crop"] = "crop"

    @property
    def affine(self) -> Affine:
        """Patient millimetres before the step to those after it: the identity."""
        return np.eye(4)

    def apply(self, grid: Grid) -> Grid:
        """The grid after the step."""
        return grid.crop(self.start, self.shape)


@dataclass(frozen=True)
class Resample:
    """Other voxels in the same place.

    Attributes:
        grid: the voxels from now on.
    """

    grid: Grid
    kind: Literal["resample"] = "resample"

    @property
    def affine(self) -> Affine:
        """Patient millimetres before the step to those after it: the identity."""
        return np.eye(4)

    def apply(self, grid: Grid) -> Grid:
        """The grid after the step."""
        del grid
        return self.grid


@dataclass(frozen=True)
class Mirror:
    """Left becomes right: patient x becomes -x, and index x runs the other way round, so that voxels stay in LPS order.

    Bones that have a twin on the other side get its label.
    """

    kind: Literal["mirror"] = "mirror"

    @property
    def affine(self) -> Affine:
        """Patient millimetres before the step to those after it."""
        return np.diag([1.0, 1.0, -1.0, 1.0])

    def apply(self, grid: Grid) -> Grid:
        """The grid after the step."""
        last = grid.position_mm([0, 0, grid.shape[2] - 1])
        direction = np.reshape(grid.direction, (3, 3)) * np.array([1.0, 1.0, -1.0])
        return _moved(grid, self.affine, direction, last)


@dataclass(frozen=True)
class Rotate:
    """The patient is turned about a point; voxels stay what they are and lie aslant from now on.

    Attributes:
        rotation: 3x3, row-major, of patient z, y, x.
        centre_mm: the point that stays, patient z, y, x.
    """

    rotation: Matrix9
    centre_mm: Vector3
    kind: Literal["rotate"] = "rotate"

    @property
    def affine(self) -> Affine:
        """Patient millimetres before the step to those after it."""
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(self.rotation, (3, 3))
        affine[:3, 3] = np.asarray(self.centre_mm) - affine[:3, :3] @ np.asarray(self.centre_mm)
        return affine

    def apply(self, grid: Grid) -> Grid:
        """The grid after the step."""
        return _moved(grid, self.affine, np.reshape(grid.direction, (3, 3)), grid.origin_mm)


Step = Crop | Resample | Mirror | Rotate


@dataclass(frozen=True)
class Chain:
    """Steps in order, from a scan to what was derived from it.

    Attributes:
        steps: the first is applied first.
    """

    steps: tuple[Step, ...] = ()

    @property
    def affine(self) -> Affine:
        """Patient millimetres of the scan to those of the derived volume, 4x4, z, y, x."""
        affine = np.eye(4)
        for step in self.steps:
            affine = step.affine @ affine
        return affine

    @property
    def is_mirrored(self) -> bool:
        """Whether left bones carry right labels."""
        return sum(isinstance(step, Mirror) for step in self.steps) % 2 == 1

    def grid_of(self, source: Grid) -> Grid:
        """The derived voxels of a scan on the grid ``source``."""
        for step in self.steps:
            source = step.apply(source)
        return source

    def index_map(self, source: Grid, voxels: Grid | None = None) -> Affine:
        """Indices of the derived voxels to (fractional) indices of the scan's, 4x4.

        Args:
            source: the scan's grid.
            voxels: other voxels over the scan that are indexed instead: a level of its pyramid.
        """
        to_source_mm = np.linalg.inv(self.affine) @ self.grid_of(source).affine
        return np.linalg.inv((voxels or source).affine) @ to_source_mm

    def then(self, *steps: Step) -> Chain:
        """The chain with more steps at its end."""
        return replace(self, steps=(*self.steps, *steps))


@dataclass(frozen=True)
class Derivation:
    """What a derived case remembers of the case it was made from.

    Attributes:
        case_id: of the source, in its own dataset.
        grid: the source's grid, LPS.
        chain: from the source to the derived case.
        spec_digest: SHA-256 of what was asked for: cases with the same were prepared alike.
    """

    case_id: str
    grid: Grid
    chain: Chain
    spec_digest: str


def _moved(grid: Grid, affine: Affine, direction: npt.NDArray[np.float64], first_mm: npt.ArrayLike) -> Grid:
    """Voxels of the same shape and spacing, moved: ``direction`` and ``first_mm`` are given as before the move."""
    turned = np.eye(4)
    turned[:3, :3] = affine[:3, :3] @ direction * np.asarray(grid.spacing_mm)
    turned[:3, 3] = affine[:3, :3] @ np.asarray(first_mm) + affine[:3, 3]
    return Grid.from_affine(grid.shape, turned)
