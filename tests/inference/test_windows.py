import numpy as np
import pytest
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.utils import _get_scan_interval
from pydantic import ValidationError

from osteon.core.geometry import Index3
from osteon.inference.windows import StreamSpec, WindowGrid, gaussian_weights

CASES: list[tuple[Index3, Index3, float]] = [
    ((20, 33, 41), (16, 16, 16), 0.5),
    ((9, 40, 12), (16, 16, 16), 0.3),
    ((17, 16, 31), (8, 16, 24), 0.0),
    ((5, 6, 7), (8, 8, 8), 0.25),
    ((40, 10, 11), (9, 5, 7), 0.37),
    ((16, 12, 12), (4, 4, 4), 0.9),
]


@pytest.mark.parametrize(("shape", "window_shape", "overlap"), CASES)
def test_windows_lie_where_monai_puts_them(shape: Index3, window_shape: Index3, overlap: float) -> None:
    grid = WindowGrid(shape, window_shape, overlap)
    padded = tuple(max(size, side) for size, side in zip(shape, window_shape, strict=True))
    interval = _get_scan_interval(padded, window_shape, 3, (overlap,) * 3)
    expected = [tuple(part.start for part in window) for window in dense_patch_slices(padded, window_shape, interval)]
    found = [window for z in grid.starts[0] for window in grid.row(z)]
    assert [tuple(np.add(window, grid.padding)) for window in found] == expected


@pytest.mark.parametrize("window_shape", [(16, 16, 16), (8, 24, 5), (96, 64, 32)])
def test_weights_are_monais(window_shape: Index3) -> None:
    expected = compute_importance_map(window_shape, mode="gaussian", sigma_scale=0.125)
    torch.testing.assert_close(gaussian_weights(window_shape), expected, rtol=0, atol=0)


def test_rows_of_a_range_are_those_that_touch_it() -> None:
    grid = WindowGrid((64, 16, 16), (16, 16, 16), 0.5)
    assert grid.rows((0, 64)) == grid.starts[0] == (0, 8, 16, 24, 32, 40, 48)
    assert grid.rows((15, 17)) == (0, 8, 16)
    assert grid.rows((24, 25)) == (16, 24)


@pytest.mark.parametrize(("shape", "window_shape", "overlap"), CASES)
def test_a_window_serves_the_voxels_it_weighs_most(shape: Index3, window_shape: Index3, overlap: float) -> None:
    grid = WindowGrid(shape, window_shape, overlap)
    for axis, side in enumerate(window_shape):
        middles = np.array(grid.starts[axis]) + (side - 1) / 2
        for (first, stop), middle in zip(grid.served(axis), middles, strict=True):
            distances = np.abs(np.arange(max(0, first), min(stop, shape[axis]))[:, None] - middles)
            assert (np.abs(distances.min(axis=1) - np.abs(distances[:, middles == middle][:, 0])) <= 0.5).all()
        served = np.concatenate([np.arange(first, stop) for first, stop in grid.served(axis)])
        assert set(range(shape[axis])) <= set(served.tolist())


def test_a_spec_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValidationError, match="overlap"):
        StreamSpec(overlap=1.0)
    with pytest.raises(ValidationError, match="overlapp"):
        StreamSpec.model_validate({"overlapp": 0.5})
