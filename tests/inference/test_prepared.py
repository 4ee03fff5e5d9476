"""A model of right femurs applied to a whole scan: both femurs come back, each with its own label."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from osteon.core.chain import Chain, Derivation
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.prepare import Guide, PrepareSpec
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import open_backend
from osteon.inference.in_memory import InMemoryVolume
from osteon.inference.postprocess import PostprocessSpec
from osteon.inference.prepared import must_prepare, segment_prepared
from osteon.inference.segmenter import Segmenter
from osteon.inference.windows import StreamSpec

BOTH = table_for(["femur_left", "femur_right"])
GRID = Grid((60, 24, 64), (2.0, 1.5, 1.5), (-40.0, 5.0, -50.0))
FEMURS = PrepareSpec(femurs=True, spacing_mm=(1.0, 1.0, 1.0))


class Bright(nn.Module):
    """Class 1 above 300 HU: a network whose labels are known."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv3d(1, 2, 1)
        self.head.weight = nn.Parameter(torch.tensor([0.0, 1.0]).reshape(2, 1, 1, 1, 1))
        self.head.bias = nn.Parameter(torch.tensor([0.0, -0.3]))

    def features(self, x_BCZYX: torch.Tensor) -> torch.Tensor:
        return x_BCZYX * 1.0

    def forward(self, x_BCZYX: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.head(self.features(x_BCZYX)))


@pytest.fixture(scope="module")
def segmenter() -> Callable[[LabelTable], Segmenter]:
    spec = StreamSpec(window_shape=(16, 16, 16), bone_floor_hu=None)
    backend = open_backend(Bright(), "torch", spec.window_shape, precision="float32")
    unit = Intensity(clip_hu=(-1000, 1000), mean=0, std=1000)
    return lambda table: Segmenter(backend, table, spec, unit, ModelGrid(), PostprocessSpec())


@pytest.fixture(scope="module")
def truth() -> InMemoryVolume:
    """Two cones that lean apart; the left one, where x is large, is wider."""
    z, y, x = np.indices(GRID.shape)
    ids = np.zeros(GRID.shape, np.uint8)
    ids[((y - 12) ** 2 + (x - 46 - z / 10) ** 2 < (5 + z / 20) ** 2) & (z > 5) & (z < 55)] = BOTH.ids["femur_left"]
    ids[((y - 12) ** 2 + (x - 18 + z / 10) ** 2 < (4 + z / 20) ** 2) & (z > 5) & (z < 55)] = BOTH.ids["femur_right"]
    return InMemoryVolume(ids, GRID)


@pytest.fixture(scope="module")
def scan(truth: InMemoryVolume) -> InMemoryVolume:
    return InMemoryVolume(np.where(truth.array != 0, 600, 0).astype(np.int16), GRID)


@pytest.mark.parametrize("align", [False, True], ids=["cropped", "aligned"])
def test_femurs_that_were_segmented_as_right_ones_come_back_with_their_own_side(
    align: bool, segmenter: Callable[[LabelTable], Segmenter], scan: InMemoryVolume, truth: InMemoryVolume
) -> None:
    spec = FEMURS.model_copy(update={"align_shaft": align})
    seen: list[tuple[int, int]] = []
    rough = Guide(
        [InMemoryVolume(truth.array[::2, ::2, ::2], Grid((30, 12, 32), (4.0, 3.0, 3.0), GRID.origin_mm))], BOTH
    )
    model = segmenter(table_for(["femur_right"]))
    found, table = segment_prepared(model, [scan], spec, rough, lambda *progress: seen.append(progress))
    assert found.shape == GRID.shape
    for label in BOTH.ids.values():
        a, b = found == label, truth.array == label
        assert 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b)) >= 0.97
    assert seen[-1][0] == seen[-1][1]
    assert table == BOTH


def test_without_a_rough_segmentation_femurs_cannot_be_found(
    segmenter: Callable[[LabelTable], Segmenter], scan: InMemoryVolume
) -> None:
    with pytest.raises(BadInput, match="no-guide"):
        segment_prepared(segmenter(table_for(["femur_right"])), [scan], FEMURS, None)


def test_a_cropped_scan_is_background_around_the_crop(
    segmenter: Callable[[LabelTable], Segmenter], scan: InMemoryVolume, truth: InMemoryVolume
) -> None:
    hu = scan.array.copy()
    hu[0, 0, 0] = 600
    spec = PrepareSpec(crop_bones=("femur_left", "femur_right"), margin_mm=0)
    found, table = segment_prepared(
        segmenter(table_for(["sacrum"])), [InMemoryVolume(hu, GRID)], spec, Guide([truth], BOTH)
    )
    np.testing.assert_array_equal(found != 0, truth.array != 0)
    assert list(table.ids) == ["sacrum"]


def test_what_was_prepared_alike_is_not_prepared_again() -> None:
    alike = Derivation("a", GRID, Chain(), FEMURS.digest)
    assert must_prepare(FEMURS, None)
    assert not must_prepare(FEMURS, alike)
    assert not must_prepare(PrepareSpec(), None)
    assert not must_prepare(PrepareSpec(), alike)
    with pytest.raises(BadInput, match="other-preparation"):
        must_prepare(FEMURS, Derivation("a", GRID, Chain(), "another"))
