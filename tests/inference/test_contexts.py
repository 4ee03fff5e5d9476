"""Wider views of windows: the blocks that training reads, and labels of a network that sees them."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from osteon.core.geometry import Index3
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import BackendName, open_backend
from osteon.inference.contexts import ContextSlab, context_views
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.schedule import Row
from osteon.inference.stream import stream_labels
from osteon.inference.view import ModelView
from osteon.inference.windows import StreamSpec, WindowGrid, gaussian_weights
from osteon.models.view_specs import MultiResolutionSpec

ScanOf = Callable[..., InMemoryVolume]
SIDE = 8
WINDOW: Index3 = (SIDE, SIDE, SIDE)


def pooled(input_ZYX: torch.Tensor, number: int) -> torch.Tensor:
    """Means over cubes of 2^number voxels, for a volume whose sides are multiples of that."""
    return functional.avg_pool3d(input_ZYX[None, None], 2**number)[0, 0]


def context(input_ZYX: torch.Tensor, window: Index3, number: int) -> torch.Tensor:
    """The context of a window, worked out voxel by voxel from the pooled volume, whose edges are repeated."""
    coarse = pooled(input_ZYX, number)
    axes = [
        ((first + SIDE // 2) // 2**number - SIDE // 2 + torch.arange(SIDE)).clamp(0, side - 1)
        for first, side in zip(window, coarse.shape, strict=True)
    ]
    return coarse[axes[0]][:, axes[1]][:, :, axes[2]]


@pytest.mark.parametrize("number", [1, 2])
def test_contexts_of_a_row_are_the_blocks_that_training_reads(
    noise_scan: ScanOf, intensity: Intensity, number: int
) -> None:
    scan = noise_scan((16, 24, 32))
    view = ModelView.of(scan, (), ModelGrid(), intensity)
    slab = ContextSlab(context_views(view, scan, (), number)[-1], number, WINDOW, torch.device("cpu"))
    windows: list[Index3] = [(4, 0, 0), (4, 16, 4), (4, 8, 24)]
    slab.begin(Row(4, tuple(windows)))
    slab.finish()
    whole = intensity.apply(torch.from_numpy(scan.array))
    for window in windows:
        found = torch.empty(WINDOW)
        slab.fill(found, window)
        # The scan is pooled in int16, as its stored pyramid is: means are rounded to whole HU.
        torch.testing.assert_close(found, context(whole, window, number), atol=0.51 / intensity.std, rtol=0)


def test_a_row_without_windows_reads_nothing(noise_scan: ScanOf, intensity: Intensity) -> None:
    scan = noise_scan((16, 16, 16))
    view = ModelView.of(scan, (), ModelGrid(), intensity)
    slab = ContextSlab(context_views(view, scan, (), 1)[0], 1, WINDOW, torch.device("cpu"))
    slab.begin(Row(0, ()))
    slab.finish()


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_labels_are_those_of_windows_put_together_by_hand(
    noise_scan: ScanOf, intensity: Intensity, engine: BackendName
) -> None:
    torch.manual_seed(0)
    network = MultiResolutionSpec(architecture="sneakynet", channels=(4, 4, 4), contexts=2).build(3).eval()
    scan = noise_scan((16, 20, 16))
    spec = StreamSpec(window_shape=WINDOW, bone_floor_hu=None)
    backend = open_backend(network, engine, WINDOW, precision="float32", device="cpu")
    blocks = stream_labels(scan, backend, spec, intensity, ModelGrid(), zones=None)
    found = np.concatenate([block for _, block in blocks])
    whole, weights = intensity.apply(torch.from_numpy(scan.array)), gaussian_weights(WINDOW)
    scores, windows = torch.zeros(3, *scan.grid.shape), WindowGrid(scan.grid.shape, WINDOW, spec.overlap)
    for z, y, x in (window for start in windows.starts[0] for window in windows.row(start)):
        where = (slice(z, z + SIDE), slice(y, y + SIDE), slice(x, x + SIDE))
        views = [whole[where], *(context(whole, (z, y, x), number) for number in (1, 2))]
        with torch.inference_mode():
            scores[(slice(None), *where)] += network(torch.stack(views)[None])[0] * weights
    top = scores.topk(2, dim=0).values
    differ = torch.from_numpy(found.astype(np.int64)) != scores.argmax(0)
    assert not (differ & (top[0] - top[1] > 0.02 * scores.std())).any()
    assert differ.float().mean() < 0.02
    assert len(np.unique(found)) > 1


def test_skipped_windows_change_no_label_of_computed_ones(noise_scan: ScanOf, intensity: Intensity) -> None:
    torch.manual_seed(0)
    network = MultiResolutionSpec(architecture="mrn", channels=(4, 4, 4), contexts=1).build(3).eval()
    scan = noise_scan((16, 16, 40))
    scan.array[:, :, 12:] = -1000
    spec = StreamSpec(window_shape=WINDOW, bone_floor_hu=0.0, overlap=0.0)
    backend = open_backend(network, "torch", WINDOW, device="cpu")
    zones = zones_of(scan.array, (4, 4, 4))
    some, every = (
        np.concatenate([block for _, block in stream_labels(scan, backend, spec, intensity, ModelGrid(), zones=which)])
        for which in (zones, None)
    )
    np.testing.assert_array_equal(some[:, :, :8], every[:, :, :8])
    assert not some[:, :, 16:].any()
