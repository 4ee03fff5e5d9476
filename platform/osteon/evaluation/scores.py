"""What a comparison yields, as values that can be stored: scores of a bone in a case, and of a case."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

from osteon.core.geometry import Index3, Vector3

Status = Literal["both", "missed", "false-positive"]


class Score(BaseModel):
    """A frozen, strictly named value of a report."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BoneScores(Score):
    """How one bone of one case was segmented; a bone that is in neither array has no scores.

    ``None`` stands for undefined: the denominator is zero or there is no surface to measure from.

    Attributes:
        id: label id of the bone.
        name: its canonical name.
        status: ``both`` present; ``missed``: in the reference only; ``false-positive``: predicted only.
        reference_mm3: volume in the reference.
        predicted_mm3: volume in the prediction.
        dsc: Dice similarity coefficient; 0 where missed or false positive, like ``iou`` and ``surface_dice``.
        iou: intersection over union (Jaccard).
        precision: share of the predicted voxels that are right; undefined where missed.
        recall: share of the reference voxels that were found; undefined where false positive.
        surface_dice: share of both surfaces within the tolerance of the other.
        hd_mm: Hausdorff distance; undefined unless both, like ``hd95_mm`` and ``asd_mm``.
        hd95_mm: 95th percentile Hausdorff distance.
        asd_mm: average symmetric surface distance.
        volume_error: signed, relative to the reference: (predicted - reference) / reference; undefined where false
            positive.
        volume_error_mm3: signed: predicted - reference.
    """

    id: int
    name: str
    status: Status
    reference_mm3: float
    predicted_mm3: float
    dsc: float
    iou: float
    precision: float | None
    recall: float | None
    surface_dice: float
    hd_mm: float | None
    hd95_mm: float | None
    asd_mm: float | None
    volume_error: float | None
    volume_error_mm3: float


class Confusion(Score):
    """How many voxels of one label were called another (or itself); id 0 is everything that is no scored bone.

    Attributes:
        reference_id: the label in the reference.
        predicted_id: the label in the prediction.
        voxels: the count, never zero.
    """

    reference_id: int
    predicted_id: int
    voxels: int


class CaseScores(Score):
    """How one case was segmented.

    Attributes:
        case_id: the case; empty when not known.
        shape: voxels along z, y, x.
        spacing_mm: of the compared grid, z, y, x.
        tolerance_mm: of the surface Dice.
        any_bone_dsc: Dice of "some scored bone" against "none"; undefined where neither array has one.
        bones: the bones present in the reference or the prediction, in order of id.
        confusion: the voxel counts by reference and predicted label, without background-background.
    """

    case_id: str
    shape: Index3
    spacing_mm: Vector3
    tolerance_mm: float
    any_bone_dsc: float | None
    bones: tuple[BoneScores, ...]
    confusion: tuple[Confusion, ...]
