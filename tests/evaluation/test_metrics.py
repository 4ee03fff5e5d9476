import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.metrics.confusion_matrix import compute_confusion_matrix_metric, get_confusion_matrix
from monai.metrics.meandice import compute_dice
from monai.metrics.meaniou import compute_iou

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.scores import BoneScores, CaseScores, Confusion

GRID = Grid((10, 10, 10), (2.0, 1.0, 0.5))
Labels = npt.NDArray[np.uint16]


def empty() -> Labels:
    return np.zeros(GRID.shape, dtype=np.uint16)


def box(label: int, x0: int = 2, x1: int = 6) -> Labels:
    labels = empty()
    labels[3:7, 3:7, x0:x1] = label
    return labels


def only_bone(scores: CaseScores) -> BoneScores:
    (bone,) = scores.bones
    return bone


def test_a_perfect_prediction(table: LabelTable) -> None:
    scores = compare_labels(box(7), box(7), GRID, table, case_id="a")

    bone = only_bone(scores)
    assert (bone.name, bone.status) == ("hip_left", "both")
    assert bone.dsc == bone.iou == bone.precision == bone.recall == bone.surface_dice == 1
    assert bone.hd_mm == bone.hd95_mm == bone.asd_mm == bone.volume_error == bone.volume_error_mm3 == 0
    assert bone.reference_mm3 == bone.predicted_mm3 == 64 * 1.0
    assert scores.any_bone_dsc == 1
    assert (scores.case_id, scores.shape, scores.spacing_mm) == ("a", GRID.shape, GRID.spacing_mm)


def test_a_box_that_reaches_too_far(table: LabelTable) -> None:
    bone = only_bone(compare_labels(box(300, 2, 8), box(300, 2, 6), GRID, table, tolerance_mm=0.4))

    assert bone.dsc == pytest.approx(2 * 64 / (64 + 96))
    assert bone.iou == pytest.approx(64 / 96)
    assert bone.precision == pytest.approx(64 / 96)
    assert bone.recall == 1
    assert bone.volume_error == pytest.approx(0.5)
    assert bone.volume_error_mm3 == pytest.approx(32.0)
    assert bone.hd_mm == pytest.approx(1.0)


def test_a_missed_bone_scores_zero_and_has_no_distance(table: LabelTable) -> None:
    bone = only_bone(compare_labels(empty(), box(3), GRID, table))

    assert bone.status == "missed"
    assert bone.dsc == bone.iou == bone.recall == bone.surface_dice == 0
    assert bone.precision is bone.hd_mm is bone.hd95_mm is bone.asd_mm is None
    assert (bone.volume_error, bone.volume_error_mm3) == (-1.0, -64.0)


def test_a_bone_that_is_not_there_scores_zero_as_false_positive(table: LabelTable) -> None:
    bone = only_bone(compare_labels(box(3), empty(), GRID, table))

    assert bone.status == "false-positive"
    assert bone.dsc == bone.iou == bone.precision == bone.surface_dice == 0
    assert bone.recall is bone.hd_mm is bone.hd95_mm is bone.asd_mm is bone.volume_error is None
    assert bone.volume_error_mm3 == 64.0


def test_bones_in_neither_are_not_counted(table: LabelTable) -> None:
    scores = compare_labels(empty(), empty(), GRID, table)

    assert not scores.bones
    assert not scores.confusion
    assert scores.any_bone_dsc is None


def test_labels_outside_of_the_table_are_background(table: LabelTable) -> None:
    prediction, reference = box(7), box(7)
    prediction[0, 0, 0], reference[0, 0, 1], prediction[9, 9, 9] = 4, 299, 65535

    scores = compare_labels(prediction, reference, GRID, table)

    assert only_bone(scores).dsc == scores.any_bone_dsc == 1


def test_a_bone_on_the_wrong_side_is_right_as_any_bone_and_confused_as_itself(table: LabelTable) -> None:
    scores = compare_labels(box(8), box(7), GRID, table)

    assert [(bone.name, bone.status) for bone in scores.bones] == [
        ("hip_left", "missed"),
        ("hip_right", "false-positive"),
    ]
    assert scores.any_bone_dsc == 1
    assert scores.confusion == (Confusion(reference_id=7, predicted_id=8, voxels=64),)


def test_the_confusion_names_the_background_zero(table: LabelTable) -> None:
    scores = compare_labels(box(7, 4, 8), box(7, 2, 6), GRID, table)

    assert [(pair.reference_id, pair.predicted_id, pair.voxels) for pair in scores.confusion] == [
        (0, 7, 32),
        (7, 0, 32),
        (7, 7, 32),
    ]


def test_arrays_of_another_shape_are_refused(table: LabelTable) -> None:
    with pytest.raises(BadInput, match=r"case-1: the prediction has shape \(9, 10, 10\).*grid-mismatch"):
        compare_labels(empty()[1:], empty(), GRID, table, case_id="case-1")


def test_overlap_agrees_with_monai(blobs: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]) -> None:
    prediction, reference = blobs
    table = LabelTable.of({number: f"bone_{number}" for number in range(1, 6)})

    bones = compare_labels(prediction, reference, Grid((18, 26, 22)), table).bones

    theirs = [torch.nn.functional.one_hot(torch.from_numpy(a).long(), 6).movedim(-1, 0)[None] for a in blobs]
    matrix = get_confusion_matrix(theirs[0], theirs[1], include_background=False)
    precision = compute_confusion_matrix_metric("precision", matrix)[0]
    recall = compute_confusion_matrix_metric("sensitivity", matrix)[0]
    dice = compute_dice(theirs[0], theirs[1], include_background=False)[0]
    iou = compute_iou(theirs[0], theirs[1], include_background=False)[0]
    np.testing.assert_allclose([bone.dsc for bone in bones], dice, rtol=1e-6)
    np.testing.assert_allclose([bone.iou for bone in bones], iou, rtol=1e-6)
    np.testing.assert_allclose(np.array([bone.precision for bone in bones], float), precision, rtol=1e-6)
    np.testing.assert_allclose(np.array([bone.recall for bone in bones], float), recall, rtol=1e-6)
