from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from osteon.core.geometry import Grid, Index3, Vector3
from osteon.data.preprocess import (
    Intensity,
    ModelGrid,
    PooledVolume,
    level_for,
    locate,
    pool_mean,
    resample_linear,
    resample_nearest,
)

MakeCase = Callable[..., Any]


def ramp(grid: Grid) -> torch.Tensor:
    """A volume whose value is a linear function of the place in the patient."""
    index = np.stack(np.meshgrid(*(np.arange(n) for n in grid.shape), indexing="ij"), axis=-1)
    return torch.from_numpy(grid.position_mm(index) @ [1.0, -0.5, 0.25])


def block_of(volume: torch.Tensor, grid: Grid, spacing_mm: Vector3, start: Index3, shape: Index3) -> torch.Tensor:
    window = locate(grid, spacing_mm, start, shape)
    cut = volume[tuple(slice(a, a + n) for a, n in zip(window.start, window.shape, strict=True))]
    assert cut.shape == window.shape, "the window must lie inside the volume"
    return resample_linear(cut, window.positions)


def test_intensity_clips_then_scales_and_leaves_its_input_alone() -> None:
    hu = torch.tensor([-3000, -100, 0, 300, 5000], dtype=torch.int16)
    intensity = Intensity(clip_hu=(-100, 300), mean=100, std=200)
    assert intensity.apply(hu).tolist() == [-1, -1, -0.5, 1, 1]
    as_float = hu.float()
    intensity.apply(as_float)
    assert torch.equal(as_float, hu.float())


@pytest.mark.parametrize("wrong", [{"clip_hu": (5, 5)}, {"std": 0}, {"window": 3}])
def test_intensity_refuses(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        Intensity.model_validate(wrong)


@pytest.mark.parametrize(
    ("spacing_mm", "target_mm", "level"),
    [
        ((0.7, 0.7, 0.7), None, 0),
        ((1.5, 1.5, 1.5), (1.5, 1.5, 1.5), 0),
        ((0.75, 0.75, 0.75), (1.5, 1.5, 1.5), 1),
        ((0.7501, 0.7501, 0.7501), (1.5, 1.5, 1.5), 1),
        ((0.76, 0.7, 0.7), (1.5, 1.5, 1.5), 0),
        ((0.3, 0.3, 0.3), (1.5, 1.5, 1.5), 2),
        ((5.0, 0.3, 0.3), (1.5, 1.5, 1.5), 0),
        ((1.0, 0.7, 0.7), (8.0, 8.0, 8.0), 3),
    ],
)
def test_level_is_the_coarsest_that_is_not_coarser(spacing_mm: Vector3, target_mm: Vector3, level: int) -> None:
    assert level_for(spacing_mm, target_mm) == level


@pytest.mark.parametrize("spacing_mm", [(1.5, 1.5, 1.5), (3.0, 0.5, 1.1), (1.0, 0.8, 0.8)])
@pytest.mark.parametrize("level", [0, 1])
def test_samples_lie_where_the_resampled_grid_says(spacing_mm: Vector3, level: int) -> None:
    scan = Grid((24, 20, 22), (1.0, 0.8, 0.8), (-7.0, 3.0, 5.0))
    wanted = scan.resampled(spacing_mm)
    source = scan.pooled(level)  # a ramp pooled is the ramp of the pooled grid
    start, shape = (4, 5, 6), (3, 2, 4)
    expected = ramp(wanted)[4:7, 5:7, 6:10]
    torch.testing.assert_close(block_of(ramp(source), source, spacing_mm, start, shape), expected.float())


def test_own_spacing_copies_voxels() -> None:
    grid = Grid((6, 7, 8), (0.7, 0.83, 0.9))
    volume = torch.randint(-1000, 1000, grid.shape, dtype=torch.int16)
    assert torch.equal(block_of(volume, grid, grid.spacing_mm, (1, 2, 3), (4, 4, 4)), volume[1:5, 2:6, 3:7].float())


@pytest.mark.parametrize("start", [(-5, -5, -5), (4, 5, 6), (-40, 2, 90)])
def test_edges_are_repeated(start: Index3) -> None:
    grid = Grid((6, 7, 8))
    volume = torch.rand(grid.shape)
    padded = np.pad(volume.numpy(), 100, mode="edge")
    expected = padded[tuple(slice(a + 100, a + 105) for a in start)]
    assert np.array_equal(block_of(volume, grid, (1, 1, 1), start, (5, 5, 5)).numpy(), expected)


def test_blocks_join_without_a_seam() -> None:
    grid = Grid((30, 9, 9), (0.7, 1.0, 1.0))
    volume, spacing = torch.rand(grid.shape), (1.1, 1.3, 0.6)
    whole = block_of(volume, grid, spacing, (0, 0, 0), (19, 7, 15))
    parts = [block_of(volume, grid, spacing, (z, 0, 0), (n, 7, 15)) for z, n in ((0, 7), (7, 5), (12, 7))]
    torch.testing.assert_close(torch.cat(parts), whole, rtol=0, atol=1e-6)


def test_nearest_takes_the_closest_voxel_and_keeps_the_type() -> None:
    grid = Grid((1, 1, 6))
    window = locate(grid, (1.0, 1.0, 0.4), (0, 0, 0), (1, 1, 15))
    labels = torch.tensor([[[3, 9, 4, 1, 7, 2]]], dtype=torch.uint8)
    sampled = resample_nearest(labels, window.positions)
    centres = (np.arange(15) + 0.5) * 0.4
    assert sampled.dtype == torch.uint8
    assert sampled.flatten().tolist() == [labels[0, 0, int(centre)].item() for centre in centres]


def test_model_grid_without_spacing_is_the_scans_own() -> None:
    scan = Grid((10, 10, 10), (2.0, 1.0, 1.0))
    assert ModelGrid().grid_of(scan) is scan
    assert ModelGrid(spacing_mm=(1.0, 2.0, 2.0)).grid_of(scan).shape == (20, 5, 5)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_pooled_volume_gives_any_block_of_the_level(
    make_case: MakeCase, pooled: Callable[..., Any], level: int
) -> None:
    case = make_case((13, 11, 18))
    volume = PooledVolume(case.image(), level)
    expected = pooled(case.hu, level)
    assert volume.grid == case.grid.pooled(level)
    assert np.array_equal(volume.read((0, 0, 0), expected.shape).result(), expected)
    tail = volume.read((0, expected.shape[1] - 1, expected.shape[2] - 2), (1, 1, 2)).result()
    assert np.array_equal(tail, expected[:1, -1:, -2:])


def test_pooling_does_not_overflow() -> None:
    block = np.full((64, 64, 64), 32767, np.int16)
    assert pool_mean(block, 6).tolist() == [[[32767]]]
