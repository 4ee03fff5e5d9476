import numpy as np
import pytest

from osteon.inference.postprocess import PostprocessSpec, remove_islands


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_small_islands_go_bone_by_bone(dtype: type[np.unsignedinteger]) -> None:
    labels = np.zeros((8, 12, 12), dtype=dtype)
    labels[1:4, 1:4, 1:4] = 7  # 27 voxels
    labels[4, 4, 4] = 7  # touches the block at a corner: part of it
    labels[1:3, 8:10, 8:10] = 7  # 8 voxels
    labels[4, 1:4, 1:4] = 200  # 9 voxels on the block's face: another bone
    found = remove_islands(labels.copy(), PostprocessSpec(min_island_mm3=18), (1.0, 1.0, 2.0))
    expected = labels.copy()
    expected[1:3, 8:10, 8:10] = 0
    np.testing.assert_array_equal(found, expected)


def test_nothing_is_removed_unless_asked_for() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    labels[1, 1, 1] = 3
    np.testing.assert_array_equal(remove_islands(labels.copy(), PostprocessSpec(), (1.0, 1.0, 1.0)), labels)
    exactly = PostprocessSpec(min_island_mm3=2.0)
    np.testing.assert_array_equal(remove_islands(labels.copy(), exactly, (2.0, 1.0, 1.0)), labels)


def test_small_islands_of_a_bone_without_large_ones_go_too() -> None:
    labels = np.zeros((4, 4, 4), dtype=np.uint8)
    labels[1, 1, 1] = 3
    assert not remove_islands(labels, PostprocessSpec(min_island_mm3=1.5), (1.0, 1.0, 1.0)).any()
