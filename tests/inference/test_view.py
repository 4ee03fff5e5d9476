from collections.abc import Callable

import numpy as np
import torch

from osteon.core.geometry import Grid
from osteon.data.preprocess import Intensity, ModelGrid, PooledVolume, pool_mean
from osteon.inference.in_memory import InMemoryVolume
from osteon.inference.view import ModelView

ScanOf = Callable[..., InMemoryVolume]
CPU = torch.device("cpu")


def test_the_scans_own_grid_is_only_normalised(noise_scan: ScanOf, intensity: Intensity) -> None:
    scan = noise_scan((6, 7, 8), (2.0, 1.0, 1.0))
    for grid in (ModelGrid(), ModelGrid(spacing_mm=(2.0, 1.0, 1.0))):
        view = ModelView.of(scan, (), grid, intensity)
        assert view.grid == scan.grid
        expected = intensity.apply(torch.from_numpy(scan.array[1:4, 2:5, 3:6]))
        torch.testing.assert_close(view.request((1, 2, 3), (3, 3, 3)).result(CPU), expected, rtol=0, atol=0)


def test_blocks_are_parts_of_the_whole_resampled_scan(noise_scan: ScanOf, intensity: Intensity) -> None:
    view = ModelView.of(noise_scan((12, 10, 14)), (), ModelGrid(spacing_mm=(1.5, 1.7, 1.2)), intensity)
    whole = view.request((0, 0, 0), view.grid.shape).result(CPU)
    block = view.request((2, 1, 3), (4, 3, 5)).result(CPU)
    torch.testing.assert_close(block, whole[2:6, 1:4, 3:8])


def test_a_coarse_grid_reads_the_pyramid_or_pools_what_it_lacks(noise_scan: ScanOf, intensity: Intensity) -> None:
    scan = noise_scan((13, 10, 16))
    level = InMemoryVolume(pool_mean(scan.array, 1), scan.grid.pooled(1))
    grid = ModelGrid(spacing_mm=(2.5, 2.5, 2.5))
    stored = ModelView.of(scan, (scan, level), grid, intensity)
    pooled = ModelView.of(scan, (), grid, intensity)
    assert stored.volume is level
    assert isinstance(pooled.volume, PooledVolume)
    torch.testing.assert_close(
        stored.request((1, 0, 1), (3, 4, 4)).result(CPU), pooled.request((1, 0, 1), (3, 4, 4)).result(CPU)
    )


def test_extent_holds_every_voxel_that_matters(intensity: Intensity) -> None:
    array = np.zeros((24, 24, 24), dtype=np.int16)
    for spacing in (0.7, 1.0, 2.3):
        view = ModelView.of(
            InMemoryVolume(array, Grid(array.shape)), (), ModelGrid(spacing_mm=(spacing,) * 3), intensity
        )
        low, high = view.extent(0, 2, 3)
        for plane in range(24):
            touched = array.copy()
            touched[plane] = 500
            other = ModelView.of(
                InMemoryVolume(touched, Grid(array.shape)), (), ModelGrid(spacing_mm=(spacing,) * 3), intensity
            )
            matters = not torch.equal(
                view.request((2, 0, 0), (3, 4, 4)).result(CPU), other.request((2, 0, 0), (3, 4, 4)).result(CPU)
            )
            assert low <= plane < high or not matters
        assert high - low <= 5 * spacing + 3
