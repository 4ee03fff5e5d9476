"""Wider views of the windows of a row, for networks that see several resolutions: read once per row, and ahead.

Context k of a window has as many voxels, each 2^k times as large, about the same centre: the block that training reads
(`osteon.data.loader`). Beyond the scan its outermost voxels are repeated, as in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from osteon.core.geometry import Index3, Vector3
from osteon.core.volume import Volume
from osteon.data.loader import start_of
from osteon.data.preprocess import ModelGrid
from osteon.inference.schedule import Row
from osteon.inference.view import ModelView, PendingBlock


@dataclass(frozen=True)
class _Region:
    """Voxels of a context's grid that hold the contexts of all windows of a row."""

    start: Index3
    pending: PendingBlock


class ContextSlab:
    """One context of every window of the current row.

    Args:
        view: the scan on the context's grid.
        number: k.
        window_shape: voxels of a window, and of its context.
        device: where blocks lie.
    """

    def __init__(self, view: ModelView, number: int, window_shape: Index3, device: torch.device) -> None:
        self._view, self._number, self._shape, self._device = view, number, window_shape, device
        self._next: _Region | None = None
        self._start: Index3 = (0, 0, 0)
        self._block = torch.empty(0)

    def begin(self, row: Row) -> None:
        """Begin to read what the windows of a row need."""
        self._next = None
        if row.windows:
            starts = [self._start_of(window) for window in row.windows]
            first = _least(starts)
            last = _least([(-z, -y, -x) for z, y, x in starts])
            z, y, x = (-b - a + side for a, b, side in zip(first, last, self._shape, strict=True))
            self._next = _Region(first, self._view.request(first, (z, y, x)))

    def finish(self) -> None:
        """Wait for what was begun; from now on it is the current row's."""
        if self._next is not None:
            self._start, self._block = self._next.start, self._next.pending.result(self._device)

    def fill(self, block_ZYX: Tensor, window: Index3) -> None:
        """Write the context of a window of the current row."""
        z, y, x = (
            slice(start - origin, start - origin + side)
            for start, origin, side in zip(self._start_of(window), self._start, self._shape, strict=True)
        )
        block_ZYX.copy_(self._block[z, y, x])

    def _start_of(self, window: Index3) -> Index3:
        z, y, x = (first + side // 2 for first, side in zip(window, self._shape, strict=True))
        return start_of((z, y, x), self._shape, self._number)


def context_views(view: ModelView, image: Volume, levels: Sequence[Volume], count: int) -> list[ModelView]:
    """The scan on the grids of contexts 1 … ``count`` of a model that sees it through ``view``."""
    found = []
    for number in range(1, count + 1):
        z, y, x = (spacing * 2**number for spacing in view.grid.spacing_mm)
        wanted: Vector3 = (z, y, x)
        found.append(ModelView.of(image, levels, ModelGrid(spacing_mm=wanted), view.intensity))
    return found


def _least(places: Sequence[Index3]) -> Index3:
    z, y, x = (min(axis) for axis in zip(*places, strict=True))
    return (z, y, x)
