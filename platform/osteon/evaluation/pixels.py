"""Voxel-wise scores of a whole case, the background counted as a class: what papers on slices and on cortex report."""

from __future__ import annotations

import math
from collections import Counter

from osteon.core.labels import BACKGROUND
from osteon.evaluation.scores import CaseScores, Score


class PixelScores(Score):
    """Scores over the classes of a case; a class counts if its reference has voxels.

    Attributes:
        accuracy: share of all voxels that are right (pixel accuracy).
        mean_accuracy: mean over classes of the share of a class's voxels that are right (MPA; Li et al. 2022, eq. 6).
        mean_iou: mean over classes of intersection over union (mIoU; Li et al. 2022, eq. 5).
        iou: of every class by label id; the background is 0.
        dice: likewise.
        class_accuracy: likewise, the share of a class's voxels that are right.
    """

    accuracy: float
    mean_accuracy: float
    mean_iou: float
    iou: dict[int, float]
    dice: dict[int, float]
    class_accuracy: dict[int, float]


def pixel_scores(case: CaseScores) -> PixelScores:
    """The scores of a case from its confusion, which leaves out only what both call background."""
    right: Counter[int] = Counter()
    expected: Counter[int] = Counter()
    predicted: Counter[int] = Counter()
    for pair in case.confusion:
        expected[pair.reference_id] += pair.voxels
        predicted[pair.predicted_id] += pair.voxels
        if pair.reference_id == pair.predicted_id:
            right[pair.reference_id] += pair.voxels
    total = math.prod(case.shape)
    empty = total - expected.total()
    for counts in (right, expected, predicted):
        counts[BACKGROUND] += empty
    classes = sorted(id_ for id_, voxels in expected.items() if voxels)
    accuracy = {id_: right[id_] / expected[id_] for id_ in classes}
    iou = {id_: right[id_] / (expected[id_] + predicted[id_] - right[id_]) for id_ in classes}
    return PixelScores(
        accuracy=right.total() / total,
        mean_accuracy=sum(accuracy.values()) / len(classes),
        mean_iou=sum(iou.values()) / len(classes),
        iou=iou,
        dice={id_: 2 * right[id_] / (expected[id_] + predicted[id_]) for id_ in classes},
        class_accuracy=accuracy,
    )
