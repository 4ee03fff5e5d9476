"""Where voxels lie in the patient. Knows grids and affines; knows no files, arrays or networks.

Everything is in z, y, x order, index space and patient space alike: patient z grows to superior, y to posterior,
x to left (LPS, the DICOM patient system), in millimetres. ITK's and DICOM's x, y, z values are turned round at the
edges by `Grid.from_itk` and `Grid.to_itk`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan

Index3 = tuple[int, int, int]
Vector3 = tuple[float, float, float]
Matrix9 = tuple[float, float, float, float, float, float, float, float, float]

IDENTITY: Matrix9 = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SHEAR_TOLERANCE = 1e-3  # largest |cosine| between two index axes that still counts as a right angle


@dataclass(frozen=True)
class Grid:
    """A regular voxel grid in patient space.

    Attributes:
        shape: voxels along z, y, x.
        spacing_mm: distance of neighbouring voxel centres along the index axes z, y, x.
        origin_mm: patient position (z, y, x) of the centre of voxel (0, 0, 0).
        direction: 3x3, row-major, orthonormal; column k is the unit vector, in patient z, y, x, along index axis k.
    """

    shape: Index3
    spacing_mm: Vector3 = (1.0, 1.0, 1.0)
    origin_mm: Vector3 = (0.0, 0.0, 0.0)
    direction: Matrix9 = IDENTITY

    @property
    def affine(self) -> npt.NDArray[np.float64]:
        """The 4x4 matrix from index (z, y, x, 1) to patient millimetres (z, y, x, 1)."""
        affine = np.eye(4)
        affine[:3, :3] = np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing_mm)
        affine[:3, 3] = self.origin_mm
        return affine

    @property
    def num_voxels(self) -> int:
        """The product of the shape."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @classmethod
    def from_affine(cls, shape: Index3, affine: npt.ArrayLike) -> Grid:
        """The grid of an index-to-patient matrix (z, y, x order on both sides).

        Raises:
            BadScan: ``singular-affine`` or ``sheared-affine``; a shear means a tilted gantry.
        """
        matrix = np.asarray(affine, dtype=np.float64)
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if not np.isfinite(matrix).all() or (spacing <= 0).any() or abs(np.linalg.det(matrix[:3, :3])) < 1e-12:
            raise BadScan(
                "singular-affine",
                f"the affine {matrix[:3].round(6).tolist()} does not map voxels to distinct positions",
                remedy="mend the header's orientation fields",
            )
        direction = matrix[:3, :3] / spacing
        cosines = np.abs(direction.T @ direction - np.eye(3)).max()
        if cosines > SHEAR_TOLERANCE:
            raise BadScan(
                "sheared-affine",
                f"the index axes are not at right angles (cosine {cosines:.4f}): the gantry was tilted",
                remedy="ingest with --allow-gaps to resample it to an upright grid (recorded in the case)",
            )
        return cls(shape, _vector(spacing), _vector(matrix[:3, 3]), _matrix(direction))

    @classmethod
    def from_itk(
        cls,
        size_xyz: tuple[int, ...],
        spacing_xyz: tuple[float, ...],
        origin_xyz: tuple[float, ...],
        direction_xyz: tuple[float, ...],
    ) -> Grid:
        """The grid of an ITK image's size, spacing, origin and direction cosines (x, y, z, LPS)."""
        direction = np.reshape(np.asarray(direction_xyz, dtype=np.float64), (3, 3))[::-1, ::-1]
        z, y, x = (int(n) for n in size_xyz[::-1])
        return cls(
            (z, y, x),
            _vector(np.asarray(spacing_xyz)[::-1]),
            _vector(np.asarray(origin_xyz)[::-1]),
            _matrix(direction),
        )

    def to_itk(self) -> tuple[Vector3, Vector3, Matrix9]:
        """Spacing, origin and direction as ITK takes them (x, y, z, LPS)."""
        direction = np.reshape(self.direction, (3, 3))[::-1, ::-1]
        return _vector(self.spacing_mm[::-1]), _vector(self.origin_mm[::-1]), _matrix(direction)

    def position_mm(self, index: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Patient positions (…, 3) of index coordinates (…, 3); fractions allowed."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index_of(self, position_mm: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Fractional index coordinates (…, 3) of patient positions (…, 3)."""
        shifted = np.asarray(position_mm, dtype=np.float64) - self.affine[:3, 3]
        return np.asarray(shifted @ np.linalg.inv(self.affine[:3, :3]).T)

    def crop(self, start: Index3, shape: Index3) -> Grid:
        """The grid of the block of ``shape`` whose first voxel is ``start`` (which may lie outside)."""
        return Grid(shape, self.spacing_mm, _vector(self.position_mm(start)), self.direction)

    def pooled(self, level: int) -> Grid:
        """The grid after averaging blocks of 2^level voxels, incomplete blocks at the far edge included."""
        factor = 2**level
        z, y, x = (-(-n // factor) for n in self.shape)
        spacing = np.asarray(self.spacing_mm) * factor
        return Grid((z, y, x), _vector(spacing), _vector(self.position_mm([(factor - 1) / 2] * 3)), self.direction)

    def resampled(self, spacing_mm: Vector3) -> Grid:
        """The grid of another spacing over the same field of view (outer voxel faces kept at the first voxel)."""
        old, new = np.asarray(self.spacing_mm), np.asarray(spacing_mm, dtype=np.float64)
        z, y, x = (max(1, round(n * o / s)) for n, o, s in zip(self.shape, old, new, strict=True))
        first = (new / old - 1) / 2
        return Grid((z, y, x), _vector(new), _vector(self.position_mm(first)), self.direction)

    def matches(self, other: Grid, tolerance_mm: float = 1e-2) -> bool:
        """Whether all eight corners lie within ``tolerance_mm`` of the other grid's, and shapes are equal."""
        if self.shape != other.shape:
            return False
        corners = np.array(list(_corners(self.shape)))
        return bool(np.abs(self.position_mm(corners) - other.position_mm(corners)).max() <= tolerance_mm)


@dataclass(frozen=True)
class Reorientation:
    """Axis swaps and flips that bring an array nearest to LPS order; lossless both ways.

    Attributes:
        axes: ``axes[k]`` is the source axis that becomes axis k.
        flips: whether axis k (after the swap) is reversed.
    """

    axes: Index3 = (0, 1, 2)
    flips: tuple[bool, bool, bool] = (False, False, False)

    @classmethod
    def to_lps(cls, grid: Grid) -> Reorientation:
        """The reorientation after which index axis k runs nearest to patient axis k (z, y, x), growing."""
        direction = np.reshape(grid.direction, (3, 3))
        axes = max(
            itertools.permutations(range(3)), key=lambda order: sum(abs(direction[k, order[k]]) for k in range(3))
        )
        a, b, c = axes
        flips = tuple(bool(direction[k, axes[k]] < 0) for k in range(3))
        return cls((a, b, c), (flips[0], flips[1], flips[2]))

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        return self.axes == (0, 1, 2) and not any(self.flips)

    def apply(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A view of a source-order (z, y, x) array in LPS order."""
        return array.transpose(self.axes)[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]

    def invert(self, array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """A view of an LPS-order array in source order."""
        flipped = array[tuple(slice(None, None, -1 if flip else 1) for flip in self.flips)]
        return flipped.transpose(np.argsort(self.axes))

    def apply_grid(self, grid: Grid) -> Grid:
        """The grid of `apply`'s result."""
        shape = [grid.shape[axis] for axis in self.axes]
        spacing = [grid.spacing_mm[axis] for axis in self.axes]
        direction = np.reshape(grid.direction, (3, 3))[:, list(self.axes)]
        first = np.zeros(3)
        for k, axis in enumerate(self.axes):
            if self.flips[k]:
                first[axis] = grid.shape[axis] - 1
        direction = direction * np.where(self.flips, -1.0, 1.0)
        z, y, x = shape
        return Grid((z, y, x), _vector(spacing), _vector(grid.position_mm(first)), _matrix(direction))


def _corners(shape: Index3) -> Iterator[Index3]:
    yield from itertools.product(*((0, n - 1) for n in shape))


def _vector(values: npt.ArrayLike) -> Vector3:
    z, y, x = (float(value) for value in np.asarray(values, dtype=np.float64))
    return (z, y, x)


def _matrix(values: npt.ArrayLike) -> Matrix9:
    a, b, c, d, e, f, g, h, i = (float(value) for value in np.asarray(values, dtype=np.float64).ravel())
    return (a, b, c, d, e, f, g, h, i)
