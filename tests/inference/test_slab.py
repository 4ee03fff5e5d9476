from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
import torch

from osteon.core.geometry import Grid, Index3
from osteon.core.volume import Pending
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.schedule import Schedule
from osteon.inference.slab import Slab, ring_parts
from osteon.inference.view import ModelView
from osteon.inference.windows import WindowGrid

ScanOf = Callable[..., InMemoryVolume]


@dataclass
class CountingVolume:
    """Counts how often each voxel was asked for."""

    inner: InMemoryVolume
    reads: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        self.reads = np.zeros(self.inner.grid.shape, dtype=np.int64)

    @property
    def grid(self) -> Grid:
        return self.inner.grid

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.inner.dtype

    def read(self, start: Index3, shape: Index3) -> Pending:
        self.reads[tuple(slice(first, first + count) for first, count in zip(start, shape, strict=True))] += 1
        return self.inner.read(start, shape)


def walk(schedule: Schedule, slab: Slab) -> dict[Index3, torch.Tensor]:
    found: dict[Index3, torch.Tensor] = {}
    slab.begin(0)
    for number, row in enumerate(schedule.rows):
        slab.finish()
        slab.begin(number + 1)
        if row.windows:
            found.update(zip(row.windows, slab.batch(list(row.windows))[:, 0], strict=True))
    return found


@pytest.mark.parametrize(
    ("shape", "window_shape", "overlap"),
    [((20, 21, 13), (8, 8, 8), 0.5), ((19, 9, 13), (8, 12, 5), 0.3), ((5, 6, 20), (8, 8, 8), 0.5)],
)
def test_windows_hold_the_scan_and_padding(
    noise_scan: ScanOf, intensity: Intensity, shape: Index3, window_shape: Index3, overlap: float
) -> None:
    volume = CountingVolume(noise_scan(shape))
    windows = WindowGrid(shape, window_shape, overlap)
    view = ModelView.of(volume, (), ModelGrid(), intensity)
    schedule = Schedule.of(windows, (0, shape[0]), view, None, None)
    found = walk(schedule, Slab(view, schedule, -9.0, torch.device("cpu")))
    padding = [
        (before, max(0, side - size) - before)
        for before, size, side in zip(windows.padding, shape, window_shape, strict=True)
    ]
    padded = np.pad(intensity.apply(torch.from_numpy(volume.inner.array)).numpy(), padding, constant_values=-9.0)
    for window, block in found.items():
        where = tuple(
            slice(start + before, start + before + side)
            for start, before, side in zip(window, windows.padding, window_shape, strict=True)
        )
        np.testing.assert_array_equal(block.numpy(), padded[where])
    assert len(found) == schedule.num_windows
    assert (volume.reads == 1).all()


def test_only_what_a_scheduled_window_sees_is_read_and_only_once(intensity: Intensity) -> None:
    hu = np.full((24, 40, 40), -1000, dtype=np.int16)
    hu[4, 4, 4] = hu[20, 30, 10] = hu[10, 30, 35] = 800
    volume = CountingVolume(InMemoryVolume(hu, Grid(hu.shape)))
    windows = WindowGrid(hu.shape, (8, 8, 8), 0.5)
    view = ModelView.of(volume, (), ModelGrid(), intensity)
    schedule = Schedule.of(windows, (0, 24), view, zones_of(hu, (4, 4, 4)), 300)
    seen = np.zeros(hu.shape, dtype=np.int64)
    for z, y, x in walk(schedule, Slab(view, schedule, 0.0, torch.device("cpu"))):
        seen[z : z + 8, y : y + 8, x : x + 8] = 1
    np.testing.assert_array_equal(volume.reads > 0, seen > 0)
    assert volume.reads.max() == 1
    assert 0 < seen.mean() < 0.3


def test_a_row_is_read_while_the_one_before_is_computed(noise_scan: ScanOf, intensity: Intensity) -> None:
    volume = CountingVolume(noise_scan((24, 8, 8)))
    view = ModelView.of(volume, (), ModelGrid(), intensity)
    schedule = Schedule.of(WindowGrid((24, 8, 8), (8, 8, 8), 0.5), (0, 24), view, None, None)
    slab = Slab(view, schedule, 0.0, torch.device("cpu"))
    slab.begin(0)
    slab.finish()
    slab.begin(1)
    assert volume.reads[:12].all()
    assert not volume.reads[12:].any()


def test_ring_parts_wrap_round() -> None:
    assert ring_parts(5, 3, 8) == [(5, 3, 0)]
    assert ring_parts(14, 4, 8) == [(6, 2, 0), (0, 2, 2)]
    assert ring_parts(-3, 8, 8) == [(5, 3, 0), (0, 5, 3)]
