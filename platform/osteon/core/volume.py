"""What a stored scan looks like to the rooms that compute: protocols only, no store and no array engine.

`storage` gives objects of these shapes; `data` and `inference` read through them and never learn where bytes live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3

Array = npt.NDArray[np.generic]
Labels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Label ids z, y, x, in the smallest type that holds them; 0 is background."""


class Pending(Protocol):
    """A read under way; `result` waits for it."""

    def result(self) -> Array:
        """The block, z, y, x."""
        ...


class Volume(Protocol):
    """One array of a scan: HU int16 or label ids uint8/uint16, z, y, x."""

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        ...

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The voxel type."""
        ...

    def read(self, start: Index3, shape: Index3) -> Pending:
        """Begin to read the block of ``shape`` at ``start``; it must lie inside the grid."""
        ...


@dataclass(frozen=True)
class Zones:
    """What each chunk of level 0 can hold: the zone map of a column store.

    Attributes:
        chunk_shape: voxels per chunk along z, y, x; chunk (i, j, k) starts at (i, j, k) * chunk_shape.
        hu_min: int16, one value per chunk, z, y, x.
        hu_max: int16, one value per chunk, z, y, x.
        classes: uint8 bit mask (z, y, x, bytes), bit ``label % 8`` of byte ``label // 8`` set where the label occurs;
            zero bytes wide for a case without labels.
    """

    chunk_shape: Index3
    hu_min: npt.NDArray[np.int16]
    hu_max: npt.NDArray[np.int16]
    classes: npt.NDArray[np.uint8]

    def block_max(self, start: Index3, shape: Index3) -> int:
        """The largest HU that any chunk touching the block may hold (block clipped to the volume)."""
        where = tuple(
            slice(max(0, first) // size, max(1, -(-(first + count) // size)))
            for first, count, size in zip(start, shape, self.chunk_shape, strict=True)
        )
        part = self.hu_max[where]
        return int(part.max()) if part.size else int(np.iinfo(np.int16).min)


@dataclass(frozen=True)
class Foreground:
    """Voxel coordinates drawn per class, for balanced sampling.

    Attributes:
        counts: voxels in the whole case, by label id.
        coordinates: up to N level-0 voxels (n, 3) int32 z, y, x, by label id; drawn with a fixed seed.
    """

    counts: dict[int, int]
    coordinates: dict[int, npt.NDArray[np.int32]]


class TrainingCase(Protocol):
    """A committed case as the loader sees it."""

    @property
    def case_id(self) -> str:
        """The id, unique in its dataset."""
        ...

    @property
    def grid(self) -> Grid:
        """Level 0's grid."""
        ...

    @property
    def foreground(self) -> Foreground:
        """The sampling table; empty for a case without labels."""
        ...

    @property
    def zones(self) -> Zones:
        """The zone map."""
        ...

    @property
    def num_levels(self) -> int:
        """How many pyramid levels there are, level 0 included."""
        ...

    def image(self, level: int = 0) -> Volume:
        """HU int16 at a pyramid level: mean over 2^level blocks, edge voxels repeated."""
        ...

    def labels(self, level: int = 0) -> Volume:
        """Label ids at a pyramid level; an error for a case without labels."""
        ...
