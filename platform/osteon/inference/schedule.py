"""Which windows are computed for a range of planes: those where a zone map does not rule bone out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Index3
from osteon.core.volume import Zones
from osteon.inference.view import ModelView
from osteon.inference.windows import WindowGrid

Frame = tuple[int, int, int, int]  # y start, y stop, x start, x stop


@dataclass(frozen=True)
class Row:
    """The windows that share their first plane.

    Attributes:
        z: that plane.
        windows: first voxels of those to compute, in y, x order.
    """

    z: int
    windows: tuple[Index3, ...]


@dataclass(frozen=True)
class Schedule:
    """The windows to compute, in z order.

    A window is computed if a zone above the bone floor reaches into the part that it serves: the voxels that it weighs
    at least as much as any other window does. So every voxel of such a zone has its best window, and every voxel nearby
    has some. Skipping changes nothing where all windows that cover a voxel are computed; elsewhere a voxel is averaged
    over those that are, and one that none covers is background.

    Attributes:
        windows: all windows over the volume.
        rows: the rows that cover the planes asked for; a row may be empty.
    """

    windows: WindowGrid
    rows: tuple[Row, ...]

    @classmethod
    def of(
        cls,
        windows: WindowGrid,
        z_range: tuple[int, int],
        view: ModelView,
        zones: Zones | None,
        bone_floor_hu: float | None,
    ) -> Schedule:
        """The windows that cover the planes ``z_range`` (start, stop) and may hold bone."""
        starts = windows.rows(z_range)
        if zones is None or bone_floor_hu is None:
            return cls(windows, tuple(Row(z, tuple(windows.row(z))) for z in starts))
        active = largest_hu(windows, view, zones) > bone_floor_hu
        rows = []
        for z in starts:
            wanted = active[windows.starts[0].index(z)].ravel()
            rows.append(Row(z, tuple(window for window, keep in zip(windows.row(z), wanted, strict=True) if keep)))
        return cls(windows, tuple(rows))

    @cached_property
    def num_windows(self) -> int:
        """How many windows are computed."""
        return sum(len(row.windows) for row in self.rows)

    @property
    def num_skipped(self) -> int:
        """How many windows over these planes are not."""
        _, columns, lines = self.windows.starts
        return len(self.rows) * len(columns) * len(lines) - self.num_windows

    @cached_property
    def frame(self) -> Frame:
        """The smallest rectangle that holds all windows; empty without windows."""
        corners = np.array([window[1:] for row in self.rows for window in row.windows]).reshape(-1, 2)
        if not len(corners):
            return (0, 0, 0, 0)
        (y0, x0), (y1, x1) = corners.min(axis=0).tolist(), corners.max(axis=0).tolist()
        return (y0, y1 + self.windows.window_shape[1], x0, x1 + self.windows.window_shape[2])


def largest_hu(windows: WindowGrid, view: ModelView, zones: Zones) -> npt.NDArray[np.int16]:
    """The largest HU that any zone touching what a window serves may hold, by window number along z, y, x."""
    largest = zones.hu_max
    for axis in range(3):
        spans = [view.extent(axis, start, stop - start) for start, stop in windows.served(axis)]
        size = zones.chunk_shape[axis]
        chunks = [range(low // size, min(-(-high // size), largest.shape[axis])) for low, high in spans]
        largest = np.stack([largest.take(span, axis=axis).max(axis=axis) for span in chunks], axis=axis)
    return largest
