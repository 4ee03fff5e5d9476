from itertools import pairwise

import numpy as np
import pytest

from osteon.core.geometry import Index3
from osteon.core.volume import Array
from osteon.storage.pyramid import image_levels, label_levels


def _padded(array: Array, side: int) -> Array:
    return np.pad(array, [(0, -n % side) for n in array.shape], mode="edge")


def _blocks(array: Array, side: int) -> Array:
    """Every block's voxels along the last axis."""
    z, y, x = (n // side for n in array.shape)
    return array.reshape(z, side, y, side, x, side).transpose(0, 2, 4, 1, 3, 5).reshape(z, y, x, side**3)


@pytest.mark.parametrize("shape", [(64, 40, 72), (17, 33, 65), (1, 5, 3)])
def test_every_level_is_the_rounded_mean_of_level_0(shape: Index3) -> None:
    slab = np.random.default_rng(0).integers(-32768, 32767, shape).astype(np.int16)
    levels = list(image_levels(slab, 7))
    for level, found in enumerate(levels):
        mean = _blocks(_padded(slab, 2**level), 2**level).mean(axis=-1, dtype=np.float64)
        np.testing.assert_array_equal(found, np.rint(mean))
        assert found.dtype == np.int16
        assert found.shape == tuple(-(-n // 2**level) for n in shape)


def test_sums_of_extreme_values_do_not_overflow() -> None:
    for value in (-32768, 32767):
        slab = np.full((64, 64, 64), value, dtype=np.int16)
        assert [set(np.unique(level)) for level in image_levels(slab, 7)] == [{value}] * 7


def _majority(votes: Array) -> int:
    ids, counts = np.unique(votes, return_counts=True)
    best = [int(id_) for id_, count in zip(ids, counts, strict=True) if count == counts.max()]
    return min((id_ for id_ in best if id_), default=0)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_labels_are_the_majority_of_the_level_before(dtype: type[np.unsignedinteger]) -> None:
    rng = np.random.default_rng(1)
    ids = np.array([0, 0, 0, 7, 9, np.iinfo(dtype).max], dtype=dtype)
    slab = ids[rng.integers(0, len(ids), (9, 14, 11))]
    levels = list(label_levels(slab, 4))
    assert len(levels) == 4
    for finer, coarser in pairwise(levels):
        votes = _blocks(_padded(finer, 2), 2)
        expected = [[[_majority(voxel) for voxel in line] for line in plane] for plane in votes]
        np.testing.assert_array_equal(coarser, expected)
        assert coarser.dtype == dtype


def test_half_a_bone_stays_bone() -> None:
    slab = np.zeros((2, 2, 4), np.uint8)
    slab[0, :, :2] = 5  # four of eight: a tie with the background
    slab[0, 0, 2:], slab[1, 1, 2:] = 9, 3  # 2 of 9, 2 of 3, 4 of background: the background has most
    assert list(label_levels(slab, 2))[1].tolist() == [[[5, 0]]]
