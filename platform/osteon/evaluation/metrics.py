"""How well a segmentation meets its reference, per bone. Knows label arrays and grids; no files, no networks.

Formulas, sources and what happens to bones that are missing on one side: docs/reference/metrics.md.
"""

from __future__ import annotations

import math

import numpy as np

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import Label, LabelTable
from osteon.core.volume import Array
from osteon.evaluation.overlap import Histogram, dice_of, dice_per_class, joint_histogram
from osteon.evaluation.scores import BoneScores, CaseScores, Confusion, Status
from osteon.evaluation.surface import Surfaces, compare_surfaces, find_surfaces

__all__ = ["DEFAULT_TOLERANCE_MM", "compare_labels", "dice_of", "dice_per_class", "joint_histogram"]

DEFAULT_TOLERANCE_MM = 3.0  # as in TotalSegmentator's evaluation: two of its voxels


def compare_labels(
    prediction: Array,
    reference: Array,
    grid: Grid,
    table: LabelTable,
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    *,
    case_id: str = "",
) -> CaseScores:
    """Scores of every bone of ``table`` that is in the prediction or the reference.

    Args:
        prediction: label ids, z, y, x; ids outside of the table count as background.
        reference: label ids on the same grid.
        grid: where the voxels lie; only shape and spacing matter.
        table: the bones to score.
        tolerance_mm: up to which distance a surface point is right in the surface Dice.
        case_id: kept in the result.

    Raises:
        BadInput: ``grid-mismatch`` if an array is not of the grid's shape.
    """
    for name, labels in (("prediction", prediction), ("reference", reference)):
        if labels.shape != grid.shape:
            raise BadInput(
                "grid-mismatch",
                f"the {name} has shape {labels.shape}, its grid {grid.shape}",
                where=case_id,
                remedy="compare labels on the grid of the scan",
            )
    num_classes = len(table) + 1
    predicted, expected = _classes(prediction, table), _classes(reference, table)
    counts = joint_histogram(predicted, expected, num_classes)
    surfaces = find_surfaces(predicted, num_classes), find_surfaces(expected, num_classes)
    return CaseScores(
        case_id=case_id,
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        tolerance_mm=tolerance_mm,
        any_bone_dsc=_any_bone_dsc(counts),
        bones=_bones(counts, surfaces, grid, table, tolerance_mm),
        confusion=_confusion(counts, table),
    )


def _classes(labels: Array, table: LabelTable) -> Array:
    """Class numbers in table order; ids that the table does not have become background."""
    lookup = np.append(table.class_of(), 0)  # ids past the table are clipped to this last entry
    classes = np.empty(labels.shape, dtype=lookup.dtype)
    for z in range(len(labels)):  # by plane, since a lookup needs 8 bytes per voxel of indices
        classes[z] = lookup.take(labels[z].astype(np.intp), mode="clip")
    return classes


def _any_bone_dsc(counts: Histogram) -> float | None:
    common, missed, extra = counts[1:, 1:].sum(), counts[1:, 0].sum(), counts[0, 1:].sum()
    return _ratio(2 * common, 2 * common + missed + extra)


def _bones(
    counts: Histogram, surfaces: tuple[Surfaces, Surfaces], grid: Grid, table: LabelTable, tolerance_mm: float
) -> tuple[BoneScores, ...]:
    predicted, expected = counts.sum(axis=0), counts.sum(axis=1)
    scores = []
    for number, label in enumerate(table.labels, start=1):
        if expected[number] and predicted[number]:
            scores.append(_found(number, label, counts, surfaces, grid, tolerance_mm))
        elif expected[number] or predicted[number]:
            scores.append(_unmatched(label, int(predicted[number]), int(expected[number]), grid))
    return tuple(scores)


def _found(
    number: int,
    label: Label,
    counts: Histogram,
    surfaces: tuple[Surfaces, Surfaces],
    grid: Grid,
    tolerance_mm: float,
) -> BoneScores:
    predicted, expected = int(counts[:, number].sum()), int(counts[number].sum())
    common = int(counts[number, number])
    apart = compare_surfaces(*surfaces, number, grid.spacing_mm, tolerance_mm)
    voxel_mm3 = math.prod(grid.spacing_mm)
    return BoneScores(
        id=label.id,
        name=label.name,
        status="both",
        reference_mm3=expected * voxel_mm3,
        predicted_mm3=predicted * voxel_mm3,
        dsc=2 * common / (predicted + expected),
        iou=common / (predicted + expected - common),
        precision=common / predicted,
        recall=common / expected,
        surface_dice=apart.surface_dice,
        hd_mm=apart.hd_mm,
        hd95_mm=apart.hd95_mm,
        asd_mm=apart.asd_mm,
        volume_error=(predicted - expected) / expected,
        volume_error_mm3=(predicted - expected) * voxel_mm3,
    )


def _unmatched(label: Label, predicted: int, expected: int, grid: Grid) -> BoneScores:
    """A bone in one array only: no overlap, and no distance to measure."""
    voxel_mm3 = math.prod(grid.spacing_mm)
    status: Status = "missed" if expected else "false-positive"
    return BoneScores(
        id=label.id,
        name=label.name,
        status=status,
        reference_mm3=expected * voxel_mm3,
        predicted_mm3=predicted * voxel_mm3,
        dsc=0.0,
        iou=0.0,
        precision=_ratio(0, predicted),
        recall=_ratio(0, expected),
        surface_dice=0.0,
        hd_mm=None,
        hd95_mm=None,
        asd_mm=None,
        volume_error=_ratio(predicted - expected, expected),
        volume_error_mm3=(predicted - expected) * voxel_mm3,
    )


def _confusion(counts: Histogram, table: LabelTable) -> tuple[Confusion, ...]:
    ids = table.id_of_class()
    return tuple(
        Confusion(reference_id=int(ids[row]), predicted_id=int(ids[column]), voxels=int(counts[row, column]))
        for row, column in np.argwhere(counts)
        if row or column
    )


def _ratio(part: int | np.int64, whole: int | np.int64) -> float | None:
    return float(part / whole) if whole else None
