from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import open_backend
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.postprocess import PostprocessSpec
from osteon.inference.segmenter import Segmenter
from osteon.inference.windows import StreamSpec

NetOf = Callable[..., nn.Module]
UNIT = Intensity(clip_hu=(-1000, 1000), mean=0, std=1000)


class Threshold(nn.Module):
    """Class 1 above 300 HU, class 2 above 600 HU: a network whose labels are known."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv3d(1, 3, 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([0.0, 1.0, 2.0]).reshape(3, 1, 1, 1, 1))
            self.head.bias.copy_(torch.tensor([0.0, -0.3, -0.9]))  # type: ignore[union-attr]  # Conv3d has a bias

    def features(self, x_BCZYX: torch.Tensor) -> torch.Tensor:
        return x_BCZYX * 1.0

    def forward(self, x_BCZYX: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.head(self.features(x_BCZYX)))


def segmenter(table: LabelTable, min_island_mm3: float = 0.0) -> Segmenter:
    spec = StreamSpec(window_shape=(8, 8, 8), bone_floor_hu=200)
    backend = open_backend(Threshold(), "openvino", spec.window_shape, precision="float32")
    return Segmenter(backend, table, spec, UNIT, ModelGrid(), PostprocessSpec(min_island_mm3=min_island_mm3))


def scan() -> InMemoryVolume:
    hu = np.full((10, 20, 30), -500, dtype=np.int16)
    hu[2:6, 4:9, 4:9] = 450
    hu[6:8, 4:9, 4:9] = 800
    hu[4, 15, 25] = 450
    return InMemoryVolume(hu, Grid(hu.shape))


def test_labels_are_ids_of_the_table_and_small_islands_go() -> None:
    table = table_for(["femur_left", "lump"])  # ids of the bone table and from 200 on
    expected = np.zeros((10, 20, 30), dtype=np.uint8)
    expected[2:6, 4:9, 4:9] = table.ids["femur_left"]
    expected[6:8, 4:9, 4:9] = table.ids["lump"]
    found = segmenter(table, min_island_mm3=2).segment(scan(), zones_of(scan().array, (4, 4, 4)))
    assert found.dtype == table.dtype
    np.testing.assert_array_equal(found, expected)


def test_exact_computes_every_window() -> None:
    counts: list[tuple[int, int]] = []
    skipping = segmenter(table_for(["femur_left", "lump"]))
    zones = zones_of(scan().array, (4, 4, 4))
    for each in (skipping, skipping.exact()):
        each.segment(scan(), zones, lambda *progress: counts.append(progress))
    totals = sorted({total for _, total in counts})
    assert totals == [totals[0], 2 * 4 * 7]
    assert totals[0] < 2 * 4 * 7 / 2
