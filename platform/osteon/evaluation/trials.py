"""What the trials of a sweep yield: a curve, a cost and an evaluation each; and one flat table of all their scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from osteon.evaluation.scores import Score
from osteon.evaluation.summary import Report

Cell = str | int | float | None
MEASURES = (
    "dsc",
    "iou",
    "precision",
    "recall",
    "surface_dice",
    "hd_mm",
    "hd95_mm",
    "asd_mm",
    "volume_error",
)  # fields of BoneScores that are columns of the table


class CurvePoint(Score):
    """What a run's log says at a step.

    Attributes:
        step: optimiser steps so far.
        loss: of training.
        dice: mean Dice of the validation that was made then.
    """

    step: int
    loss: float | None
    dice: float | None


class TrialResult(Score):
    """One configuration trained on one fold.

    Attributes:
        configuration: its id, for example ``c000``.
        values: what was varied, as short text by axis, for example ``{"loss.kind": "dice"}``.
        recipe: name of the recipe.
        fold: its number.
        repeat: its number; repeats of a fold differ by the seed only.
        status: ``stopped`` by the sweep's scheduler.
        error: why it failed.
        dice: the last validation Dice seen in training.
        steps: optimiser steps made.
        seconds: wall time for which it held its resources.
        cpus: processors held.
        gpus: GPUs held.
        curve: in order of steps.
        report: evaluation on the fold's validation cases; only when done.
    """

    configuration: str
    values: dict[str, str]
    recipe: str
    fold: int
    repeat: int
    status: Literal["done", "failed", "stopped"]
    error: str | None
    dice: float | None
    steps: int
    seconds: float
    cpus: float
    gpus: float
    curve: tuple[CurvePoint, ...]
    report: Report | None


class TestResult(Score):
    """A sweep's best configuration on the cases that no fold saw.

    Attributes:
        configuration: its id.
        ensemble: evaluation of the model that the sweep leaves.
        members: evaluations of its folds' models, one by one; empty if it was trained anew on the cases of all folds.
    """

    __test__ = False  # for pytest: not a class of tests

    configuration: str
    ensemble: Report
    members: tuple[Report, ...]


def results_rows(trials: Sequence[TrialResult]) -> list[dict[str, Cell]]:
    """One row per trial, case and bone; a trial without evaluation is one row whose scores are None.

    The columns, the same in every row: ``configuration``, one by the name of each axis, ``recipe``, ``fold``,
    ``repeat``, ``status``, ``case_id``, ``bone`` and the measures of `BoneScores`.
    """
    axes = dict.fromkeys(axis for trial in trials for axis in trial.values)
    return [row for trial in trials for row in _rows(trial, axes)]


def _rows(trial: TrialResult, axes: Iterable[str]) -> Iterator[dict[str, Cell]]:
    head: dict[str, Cell] = {"configuration": trial.configuration}
    head |= {axis: trial.values.get(axis) for axis in axes}
    head |= {"recipe": trial.recipe, "fold": trial.fold, "repeat": trial.repeat, "status": trial.status}
    if trial.report is None:
        yield head | dict.fromkeys(("case_id", "bone", *MEASURES))
        return
    for case in trial.report.details:
        for bone in case.bones:
            scores: dict[str, Cell] = {measure: getattr(bone, measure) for measure in MEASURES}
            yield head | {"case_id": case.case_id, "bone": bone.name} | scores
