import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from osteon.core.labels import BONES
from osteon.inference.postprocess import PostprocessSpec, fill_holes, postprocess, remove_islands


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


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_of_every_bone_the_largest_piece_is_kept(dtype: type[np.unsignedinteger]) -> None:
    labels = np.zeros((10, 12, 12), dtype=dtype)
    labels[1:4, 1:4, 1:4] = 7
    labels[4, 4, 4] = 7  # touches the block at a corner: part of it
    labels[6:8, 6:8, 6:8] = 7
    labels[9, 0:3, 0:3] = 200
    labels[9, 11, 11] = 200
    expected = labels.copy()
    expected[6:8, 6:8, 6:8] = 0
    expected[9, 11, 11] = 0

    found = postprocess(labels, PostprocessSpec(largest_only=True), (1.0, 1.0, 1.0), BONES)

    np.testing.assert_array_equal(found, expected)
    assert found is labels


def two_hips() -> npt.NDArray[np.uint8]:
    """Two bones, each with a patch of the other's name on it, and a piece of the first that touches nothing."""
    labels = np.zeros((9, 9, 30), dtype=np.uint8)
    labels[1:8, 1:8, 1:9] = 3
    labels[1:8, 1:8, 12:22] = 4
    labels[0, 0, 26:29] = 3
    return labels


def test_a_patch_on_a_bone_that_has_anothers_name_takes_the_bones() -> None:
    labels = two_hips()
    expected = labels.copy()
    labels[2:4, 2:4, 1:3] = 4
    labels[5:8, 5:8, 20:22] = 3
    labels[8, 8, 22] = 3  # a corner of it beyond the bone

    found = postprocess(labels, PostprocessSpec(rejoin=True), (1.0, 1.0, 1.0), BONES)

    expected[8, 8, 22] = 4
    np.testing.assert_array_equal(found, expected)
    assert found is labels


def test_names_are_those_of_the_largest_pieces_not_of_other_patches() -> None:
    labels = two_hips()
    expected = labels.copy()
    labels[2:4, 2:4, 1:3] = 4
    labels[2:4, 4:6, 1:3] = 5  # the largest of its bone is elsewhere, too
    labels[8, 0:9, 27:30] = 5
    expected[8, 0:9, 27:30] = 5

    np.testing.assert_array_equal(postprocess(labels, PostprocessSpec(rejoin=True), (1.0, 1.0, 1.0), BONES), expected)


def hollow() -> npt.NDArray[np.uint8]:
    """A box with a hole of 8 voxels, one of 1 that touches it only at a corner, a notch, and a bone in a third hole."""
    labels = np.zeros((9, 12, 14), dtype=np.uint8)
    labels[1:8, 1:11, 1:13] = 5
    labels[2:4, 2:4, 2:4] = 0
    labels[4, 4, 4] = 0
    labels[5, 6, 0:3] = 0
    labels[3:6, 7:9, 8:11] = 0
    labels[4, 7, 9] = 6
    return labels


def test_holes_are_filled_up_to_a_size() -> None:
    labels = hollow()
    expected = labels.copy()
    expected[4, 4, 4] = 5

    np.testing.assert_array_equal(
        postprocess(labels, PostprocessSpec(fill_holes_mm3=4), (2.0, 1.0, 1.0), BONES), expected
    )


def test_all_holes_are_filled_but_notches_and_other_bones_stay() -> None:
    labels = hollow()
    expected = labels.copy()
    expected[2:4, 2:4, 2:4] = expected[4, 4, 4] = expected[3:6, 7:9, 8:11] = 5
    expected[4, 7, 9] = 6

    np.testing.assert_array_equal(
        postprocess(labels, PostprocessSpec(fill_holes_mm3="all"), (2.0, 1.0, 1.0), BONES), expected
    )


def test_a_cavity_at_the_end_of_the_scan_is_open() -> None:
    labels = np.zeros((6, 7, 7), dtype=np.uint8)
    labels[:, 1:6, 1:6] = 1
    labels[2:, 3, 3] = 0

    np.testing.assert_array_equal(fill_holes(labels.copy(), np.inf, (1.0, 1.0, 1.0)), labels)


def test_what_an_island_encloses_goes_with_it() -> None:
    labels = np.zeros((8, 20, 8), dtype=np.uint8)
    labels[1:7, 1:7, 1:7] = 1
    labels[2:5, 10:13, 2:5] = 1
    labels[3, 11, 3] = 0  # a hole in an island
    spec = PostprocessSpec(min_island_mm3=50, fill_holes_mm3="all")

    assert (postprocess(labels, spec, (1.0, 1.0, 1.0), BONES) == 1).sum() == 6**3


@pytest.mark.parametrize("value", [-1, "most"])
def test_a_size_of_holes_is_a_number_or_all(value: object) -> None:
    with pytest.raises(ValidationError):
        PostprocessSpec.model_validate({"fill_holes_mm3": value})


def test_nothing_is_mended_unless_asked_for() -> None:
    labels = hollow()
    labels[0, 0, 0] = 5

    np.testing.assert_array_equal(postprocess(labels.copy(), PostprocessSpec(), (1.0, 1.0, 1.0), BONES), labels)
