"""How long a computation waited for the voxels that it read."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from osteon.core.geometry import Grid, Index3
from osteon.core.volume import Array, Pending, Volume
from osteon.recipes.apply import OpenedScan


@dataclass
class Clock:
    """Seconds waited for data, and how to wait by it."""

    seconds: float = 0.0

    def watch(self, scan: OpenedScan) -> OpenedScan:
        """The same scan, whose reads are timed."""
        levels = [TimedVolume(level, self) for level in scan.levels]
        return replace(scan, image=levels[0], levels=levels)


@dataclass(frozen=True)
class TimedVolume:
    """A volume that tells a clock how long its reads were waited for; satisfies `Volume`."""

    volume: Volume
    clock: Clock

    @property
    def grid(self) -> Grid:
        """Where the voxels lie."""
        return self.volume.grid

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The voxel type."""
        return self.volume.dtype

    def read(self, start: Index3, shape: Index3) -> Pending:
        """Begin to read a block."""
        return _TimedBlock(self.volume.read(start, shape), self.clock)


@dataclass(frozen=True)
class _TimedBlock:
    pending: Pending
    clock: Clock

    def result(self) -> Array:
        began = time.perf_counter()
        try:
            return self.pending.result()
        finally:
            self.clock.seconds += time.perf_counter() - began
