"""Scores over all voxels, against numbers counted by hand."""

import numpy as np
import pytest

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.pixels import pixel_scores

GRID = Grid((1, 4, 5))


def test_every_class_counts_alike_and_the_background_is_one(table: LabelTable) -> None:
    reference, prediction = np.zeros((2, *GRID.shape), dtype=np.uint8)
    reference[0, 0, :4] = 3  # 4 voxels, of which 3 are found
    prediction[0, 0, 1:5] = 3
    reference[0, 1, :2] = 7  # 2 voxels, called 8
    prediction[0, 1, :2] = 8
    found = pixel_scores(compare_labels(prediction, reference, GRID, table))
    # background: 14 in the reference, 13 right, 14 predicted
    assert found.accuracy == pytest.approx((3 + 13) / 20)
    assert found.class_accuracy == pytest.approx({0: 13 / 14, 3: 3 / 4, 7: 0})
    assert found.mean_accuracy == pytest.approx((13 / 14 + 3 / 4) / 3)
    assert found.iou == pytest.approx({0: 13 / 15, 3: 3 / 5, 7: 0})
    assert found.mean_iou == pytest.approx((13 / 15 + 3 / 5) / 3)
    assert found.dice == pytest.approx({0: 26 / 28, 3: 6 / 8, 7: 0})


def test_a_case_of_background_alone_is_perfect(table: LabelTable) -> None:
    nothing = np.zeros(GRID.shape, dtype=np.uint8)
    found = pixel_scores(compare_labels(nothing, nothing, GRID, table))
    assert (found.accuracy, found.mean_iou, found.iou) == (1, 1, {0: 1})
