"""A scan as the network sees it: resampled to the model's grid and normalised, block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from osteon.core.geometry import Grid, Index3
from osteon.core.volume import Pending, Volume
from osteon.data.preprocess import (
    Intensity,
    ModelGrid,
    Window,
    halved,
    level_for,
    locate,
    resample_linear,
)


@dataclass(frozen=True)
class ModelView:
    """A scan on the model's grid.

    Attributes:
        volume: what is read: the scan, or the pyramid level that training reads for this grid.
        level: that level.
        grid: the model's grid over the scan.
        intensity: from HU to the network's input.
    """

    volume: Volume
    level: int
    grid: Grid
    intensity: Intensity

    @classmethod
    def of(cls, image: Volume, levels: Sequence[Volume], grid: ModelGrid, intensity: Intensity) -> ModelView:
        """The view of ``image`` on ``grid``.

        Args:
            image: HU, level 0.
            levels: the stored pyramid, level 0 first; levels it lacks are pooled from its coarsest as they are read.
            grid: a grid that equals the scan's own to a hundredth of a millimetre counts as its own.
            intensity: from HU to the network's input.
        """
        on_grid = grid.grid_of(image.grid)
        if on_grid.matches(image.grid):
            return cls(image, 0, image.grid, intensity)
        level = level_for(image.grid.spacing_mm, grid.spacing_mm)
        stored = levels or (image,)
        coarsest = min(level, len(stored) - 1)
        return cls(halved(stored[coarsest], level - coarsest), level, on_grid, intensity)

    def request(self, start: Index3, shape: Index3) -> PendingBlock:
        """Begin to read a block of the model's grid; it must lie inside the grid."""
        window = locate(self.volume.grid, self.grid.spacing_mm, start, shape)
        return PendingBlock(self.volume.read(window.start, window.shape), window, self.intensity)

    def extent(self, axis: int, start: int, side: int) -> tuple[int, int]:
        """First and one past the last level-0 voxel along an axis that ``side`` voxels from ``start`` on depend on."""
        size, ratio = self.volume.grid.shape[axis], self.grid.spacing_mm[axis] / self.volume.grid.spacing_mm[axis]
        ends = np.array([start, start + side - 1])
        low, high = np.clip((ends + 0.5) * ratio - 0.5, 0, size - 1)
        return int(np.floor(low)) << self.level, (int(np.ceil(high)) + 1) << self.level


@dataclass(frozen=True)
class PendingBlock:
    """A block of the model's grid that is being read."""

    pending: Pending
    window: Window
    intensity: Intensity

    def result(self, device: torch.device) -> Tensor:
        """The network's input, float32 (Z, Y, X)."""
        block = torch.from_numpy(np.ascontiguousarray(self.pending.result())).to(device)
        return self.intensity.apply(resample_linear(block, self.window.positions))
