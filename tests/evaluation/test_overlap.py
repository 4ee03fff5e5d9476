import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.metrics.meandice import compute_dice

from osteon.evaluation.overlap import dice_of, dice_per_class, joint_histogram


def one_hot(labels: npt.NDArray[np.int64]) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.from_numpy(labels), 6).movedim(-1, 0)[None]


def test_the_histogram_counts_reference_by_row_and_prediction_by_column() -> None:
    reference = np.array([0, 0, 1, 1, 2], dtype=np.uint8)
    prediction = np.array([0, 1, 1, 2, 2], dtype=np.uint8)

    counts = joint_histogram(prediction, reference, 3)

    assert counts.tolist() == [[1, 1, 0], [0, 1, 1], [0, 0, 1]]


def test_histograms_of_slabs_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    prediction, reference = random.integers(0, 5, (2, 7, 9, 11)).astype(np.uint16)
    whole = joint_histogram(prediction, reference, 5)

    monkeypatch.setattr("osteon.evaluation.overlap.SLAB_VOXELS", 50)
    slabs = joint_histogram(prediction[:3], reference[:3], 5) + joint_histogram(prediction[3:], reference[3:], 5)

    np.testing.assert_array_equal(slabs, whole)
    assert whole.sum() == 7 * 9 * 11


def test_dice_agrees_with_monai() -> None:
    random = np.random.default_rng(1)
    reference = random.integers(0, 6, (10, 12, 8))
    prediction = np.where(random.random(reference.shape) < 0.7, reference, random.integers(0, 6, reference.shape))

    ours = dice_per_class(prediction, reference, 6)

    theirs = compute_dice(one_hot(prediction), one_hot(reference), include_background=True)[0].numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_a_class_in_neither_is_nan_and_one_in_only_one_is_zero() -> None:
    dice = dice_per_class(np.array([0, 1, 1]), np.array([0, 2, 2]), 4)

    np.testing.assert_array_equal(dice, [1.0, 0.0, 0.0, np.nan])


def test_dice_of_an_empty_histogram_is_nan() -> None:
    assert np.isnan(dice_of(np.zeros((2, 2), dtype=np.int64))).all()


@pytest.mark.parametrize("wrong", [3, -1])
def test_class_numbers_out_of_range_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match="do not fit num_classes = 3"):
        joint_histogram(np.array([0, wrong]), np.array([0, 0]), 3)


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        joint_histogram(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)
