import itertools
from collections.abc import Callable

import numpy as np

from osteon.core.geometry import Grid
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.schedule import Schedule, largest_hu
from osteon.inference.view import ModelView
from osteon.inference.windows import WindowGrid

ScanOf = Callable[..., InMemoryVolume]


def test_the_largest_hu_of_a_window_is_that_of_the_zones_it_serves(noise_scan: ScanOf, intensity: Intensity) -> None:
    scan = noise_scan((20, 33, 17))
    view = ModelView.of(scan, (), ModelGrid(), intensity)
    windows = WindowGrid(scan.grid.shape, (8, 8, 24), 0.5)
    zones = zones_of(scan.array, (5, 4, 4))
    expected = []
    for spans in itertools.product(*(windows.served(axis) for axis in range(3))):
        (z, y, x), (z1, y1, x1) = zip(*spans, strict=True)
        expected.append(zones.block_max((z, y, x), (z1 - z, y1 - y, x1 - x)))
    assert largest_hu(windows, view, zones).ravel().tolist() == expected


def test_only_windows_that_may_hold_bone_are_scheduled(intensity: Intensity) -> None:
    hu = np.full((16, 32, 32), -1000, dtype=np.int16)
    hu[3, 20, 5] = 400
    view = ModelView.of(InMemoryVolume(hu, Grid(hu.shape)), (), ModelGrid(), intensity)
    windows = WindowGrid(hu.shape, (8, 8, 8), 0.5)
    schedule = Schedule.of(windows, (0, 16), view, zones_of(hu, (4, 4, 4)), 300)
    assert [window for row in schedule.rows for window in row.windows] == [
        (0, 16, 0),
        (0, 16, 4),
        (0, 20, 0),
        (0, 20, 4),
    ]
    assert schedule.frame == (16, 28, 0, 12)
    assert [row.z for row in schedule.rows] == [0, 4, 8]
    assert (schedule.num_windows, schedule.num_skipped) == (4, 3 * 7 * 7 - 4)
    assert Schedule.of(windows, (0, 16), view, zones_of(hu), None).num_windows == 3 * 7 * 7
    assert Schedule.of(windows, (0, 16), view, None, 300).num_windows == 3 * 7 * 7
    assert Schedule.of(windows, (0, 16), view, zones_of(hu), 400).num_windows == 0
