"""Labels of another grid, taken at the nearest voxel; computed slab by slab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid
from osteon.core.labels import BACKGROUND
from osteon.storage.readers.planes import RawVolume
from osteon.storage.readers.raster import Matrix4


@dataclass(frozen=True)
class NearestVolume:
    """A raw volume of labels, read on another grid; what lies outside of it is background.

    Attributes:
        volume: the labels.
        affine: from their index to patient z, y, x; may be oblique.
        grid: the grid to read on, LPS order.
    """

    volume: RawVolume
    affine: Matrix4
    grid: Grid

    def read_slab(self, z0: int, z1: int) -> npt.NDArray[np.generic]:
        """The axial slices ``z0`` to ``z1`` of the grid."""
        stored = self.volume.mapped()
        to_index = np.linalg.inv(np.asarray(self.affine)) @ self.grid.affine
        _, rows, columns = self.grid.shape
        slab = np.full((z1 - z0, rows, columns), BACKGROUND, stored.dtype)
        in_plane = to_index[:3, 1, None, None] * np.arange(rows)[:, None] + to_index[:3, 2, None, None] * np.arange(
            columns
        )
        for z in range(z0, z1):
            start = to_index[:3, 0] * z + to_index[:3, 3]
            index = np.rint(in_plane + start[:, None, None]).astype(np.int64)
            inside = ((index >= 0) & (index < np.reshape(stored.shape, (3, 1, 1)))).all(axis=0)
            slab[z - z0][inside] = stored[tuple(index[:, inside])]
        return slab
