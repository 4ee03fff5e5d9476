"""The planes of a scan that the current row of windows sees, kept in a ring and read ahead of the computation.

Every voxel is read once, and only where some window to come needs it. Planes are numbered on the model's grid; plane
p lies in place p modulo the ring's depth, which is the depth of a window.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osteon.core.geometry import Index3
from osteon.inference.contexts import ContextSlab
from osteon.inference.schedule import Frame, Schedule
from osteon.inference.view import ModelView, PendingBlock


@dataclass(frozen=True)
class _Read:
    start: Index3
    shape: Index3
    pending: PendingBlock


class Slab:
    """A ring of input planes over the schedule's frame, float32, as deep as a window.

    Args:
        view: where voxels come from.
        schedule: the windows to come.
        padding: input value around a volume that is smaller than a window.
        device: where the planes lie.
        contexts: the scan on the grids of wider views, if the network sees any.
    """

    def __init__(
        self,
        view: ModelView,
        schedule: Schedule,
        padding: float,
        device: torch.device,
        contexts: Sequence[ModelView] = (),
    ) -> None:
        self._view = view
        self._schedule = schedule
        self._frame = schedule.frame
        window_shape = schedule.windows.window_shape
        self._contexts = [
            ContextSlab(wider, number, window_shape, device) for number, wider in enumerate(contexts, start=1)
        ]
        depth = window_shape[0]
        y0, y1, x0, x1 = self._frame
        self._planes = torch.full((depth, y1 - y0, x1 - x0), padding, device=device)
        self._reads: list[_Read] = []
        self._read_to = schedule.rows[0].z

    def begin(self, number: int) -> None:
        """Begin to read the planes that row ``number`` adds (nothing after the last row)."""
        if number >= len(self._schedule.rows):
            return
        for context in self._contexts:
            context.begin(self._schedule.rows[number])
        rows, depth = self._schedule.rows[number:], self._schedule.windows.window_shape[0]
        start, stop = max(self._read_to, rows[0].z, 0), min(rows[0].z + depth, self._view.grid.shape[0])
        if stop <= start:
            return
        self._read_to = stop
        cuts = [start, *(row.z for row in rows if start < row.z < stop), stop]
        for first, last in itertools.pairwise(cuts):
            users = [window for row in rows if row.z < last and row.z + depth > first for window in row.windows]
            for y0, y1, x0, x1 in _cover(users, self._schedule.windows.window_shape, self._view.grid.shape):
                self._request((first, y0, x0), (last - first, y1 - y0, x1 - x0))

    def _request(self, start: Index3, shape: Index3) -> None:
        self._reads.append(_Read(start, shape, self._view.request(start, shape)))

    def finish(self) -> None:
        """Wait for what was begun, and put it in its place."""
        depth = len(self._planes)
        for read in self._reads:
            block = read.pending.result(self._planes.device)
            y, x = read.start[1] - self._frame[0], read.start[2] - self._frame[2]
            where = self._planes[:, y : y + read.shape[1], x : x + read.shape[2]]
            for first, count, offset in ring_parts(read.start[0], read.shape[0], depth):
                where[first : first + count] = block[offset : offset + count]
        self._reads = []
        for context in self._contexts:
            context.finish()

    def batch(self, windows: list[Index3]) -> Tensor:
        """A copy of windows of the current row and of their contexts, float32 (B, V, Z, Y, X)."""
        depth, height, width = self._schedule.windows.window_shape
        num_views = 1 + len(self._contexts)
        batch = torch.empty((len(windows), num_views, depth, height, width), device=self._planes.device)
        for number, (z, y, x) in enumerate(windows):
            top, left = y - self._frame[0], x - self._frame[2]
            where = self._planes[:, top : top + height, left : left + width]
            for first, count, offset in ring_parts(z, depth, depth):
                batch[number, 0, offset : offset + count] = where[first : first + count]
            for context, block_ZYX in zip(self._contexts, batch[number, 1:], strict=True):
                context.fill(block_ZYX, (z, y, x))
        return batch


def ring_parts(plane: int, count: int, depth: int) -> list[tuple[int, int, int]]:
    """Where ``count`` planes from ``plane`` on lie in a ring: (first place, planes, offset from ``plane``)."""
    first = plane % depth
    before = min(count, depth - first)
    return [(first, before, 0), (0, count - before, before)] if before < count else [(first, count, 0)]


def _cover(windows: list[Index3], window_shape: Index3, shape: Index3) -> list[Frame]:
    """Rectangles (y, y stop, x, x stop) that do not overlap and together hold the windows, cut to the volume."""
    if not windows:
        return []
    corners = np.array(windows)[:, 1:]
    lines = [
        np.unique(np.concatenate([corners[:, axis], corners[:, axis] + side]).clip(0, size))
        for axis, side, size in ((0, window_shape[1], shape[1]), (1, window_shape[2], shape[2]))
    ]
    rows, columns = lines
    needed = np.zeros((len(rows) - 1, len(columns) - 1), dtype=bool)
    for y, x in np.unique(corners, axis=0):
        top, bottom = np.searchsorted(rows, np.clip((y, y + window_shape[1]), 0, shape[1]))
        left, right = np.searchsorted(columns, np.clip((x, x + window_shape[2]), 0, shape[2]))
        needed[top:bottom, left:right] = True
    return [
        (int(rows[top]), int(rows[bottom]), int(columns[left]), int(columns[right]))
        for top, bottom, left, right in _rectangles(needed)
    ]


def _rectangles(needed: npt.NDArray[np.bool_]) -> list[Frame]:
    """The true cells as rectangles: runs along x, joined with the rows below while their runs are the same."""
    rectangles = []
    top = 0
    for _, same in itertools.groupby(needed, key=lambda row: row.tobytes()):
        rows = list(same)
        edges = np.flatnonzero(np.diff(np.concatenate([[False], rows[0], [False]]).astype(np.int8)))
        rectangles += [(top, top + len(rows), int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        top += len(rows)
    return rectangles
