"""A scan that is held as an array: the volume and the zone map that a stored case would have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3
from osteon.core.volume import Array, Zones

ZONE_SHAPE = (8, 8, 8)  # finer than stored chunks: there is nothing to gain from reading whole chunks


@dataclass(frozen=True)
class InMemoryVolume:
    """An array with its grid; satisfies `osteon.core.volume.Volume`.

    Attributes:
        array: HU or label ids, z, y, x.
        grid: where the voxels lie.
    """

    array: Array
    grid: Grid

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The voxel type."""
        return self.array.dtype

    def read(self, start: Index3, shape: Index3) -> Held:
        """The block of ``shape`` at ``start``, a view."""
        (z, y, x), (depth, height, width) = start, shape
        return Held(self.array[z : z + depth, y : y + height, x : x + width])


@dataclass(frozen=True)
class Held:
    """A block that needs no waiting."""

    block: Array

    def result(self) -> Array:
        """The block."""
        return self.block


def zones_of(hu: npt.NDArray[Any], chunk_shape: Index3 = ZONE_SHAPE) -> Zones:
    """The zone map of a scan without labels, one slab of chunks at a time.

    Args:
        hu: int16, z, y, x.
        chunk_shape: voxels per zone.
    """
    rows = [hu[z : z + chunk_shape[0]] for z in range(0, hu.shape[0], chunk_shape[0])]
    lowest = np.stack([_reduced(np.minimum, row, chunk_shape) for row in rows])
    highest = np.stack([_reduced(np.maximum, row, chunk_shape) for row in rows])
    return Zones(chunk_shape, lowest, highest, np.zeros((*lowest.shape, 0), dtype=np.uint8))


def _reduced(ufunc: np.ufunc, row: npt.NDArray[Any], chunk_shape: Index3) -> npt.NDArray[np.int16]:
    plane: npt.NDArray[np.int16] = ufunc.reduce(row, axis=0)
    for axis, side in ((0, chunk_shape[1]), (1, chunk_shape[2])):
        plane = ufunc.reduceat(plane, np.arange(0, plane.shape[axis], side), axis=axis)
    return plane
