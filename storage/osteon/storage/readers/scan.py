"""A scan that passed its reader's checks: a grid in LPS order, its provenance, and voxels read slab by slab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Reorientation
from osteon.storage.provenance import Provenance
from osteon.storage.readers.planes import Planes


@dataclass(frozen=True)
class Scan:
    """One CT volume; picklable, holds no voxels.

    Attributes:
        grid: where the voxels lie, in LPS order.
        provenance: source grid, reorientation, digest, corrections and acquisition fields.
        num_bytes: size of the source files.
        planes: the voxels in the source's axis order.
        scratch: the folder of its decoded copies; its labels' go there, too.
        is_resampled: whether the grid is not the source's own, because that had gaps or a tilt.
    """

    grid: Grid
    provenance: Provenance
    num_bytes: int
    planes: Planes
    scratch: str
    is_resampled: bool = False

    def read_slab(self, z0: int, z1: int) -> npt.NDArray[np.int16]:
        """HU of the axial slices ``z0`` to ``z1``: (z1 - z0, Y, X), LPS. Only these are decoded.

        Raises:
            BadScan: what is found wrong only when voxels are decoded.
        """
        slab = read_lps(self.planes, self.provenance.reorientation, z0, z1)
        return np.ascontiguousarray(slab, dtype=np.int16)

    def read(self) -> npt.NDArray[np.int16]:
        """HU of the whole scan: (Z, Y, X), LPS."""
        return self.read_slab(0, self.grid.shape[0])


def read_lps(planes: Planes, order: Reorientation, z0: int, z1: int) -> npt.NDArray[np.generic]:
    """The slab ``z0`` to ``z1`` in LPS order of planes in source order."""
    axis = order.axes[0]
    size = planes.shape[axis]
    start, stop = (size - z1, size - z0) if order.flips[0] else (z0, z1)
    return order.apply(planes.read(axis, start, stop))
