"""What a sweep's summary holds: values that can be stored, and that its page shows as they are."""

from __future__ import annotations

from typing import Literal

from osteon.evaluation.averages import Interval, MeanSd
from osteon.evaluation.learning_curves import LearningCurve
from osteon.evaluation.scores import Score
from osteon.evaluation.summary import BoneSummary


class FoldRow(Score):
    """One configuration on one fold; means over the repeats that are done, None where none is.

    Attributes:
        fold: its number.
        dice: mean over the bones of a case, then over cases.
        mean_iou: mIoU over cases, the background counted.
        mean_accuracy: MPA.
        accuracy: of all voxels.
        hd_mm: median Hausdorff distance over bones.
        hd95_mm: likewise its 95th percentile.
        images_per_second: 1 / mean seconds of a scan, reading included.
    """

    fold: int
    dice: float | None
    mean_iou: float | None
    mean_accuracy: float | None
    accuracy: float | None
    hd_mm: float | None
    hd95_mm: float | None
    images_per_second: float | None


class ConfigurationRow(Score):
    """One configuration over all folds.

    Attributes:
        configuration: its id.
        recipe: name of the recipe.
        values: what was varied, as short text by axis.
        rank: from 1, by the mean of Dice over folds; None if it is not done on all folds.
        left_out: why it has no rank.
        folds: every fold of the sweep, also those it is not done on.
        done: trials that were evaluated.
        failed: trials that failed.
        stopped: trials that the scheduler gave up.
        dice: over folds of the folds' means; None if no fold is done, like the others.
        dice_over_cases: over cases; a case's repeats are averaged first.
        interval: how sure the latter's mean is.
        behind: its Dice minus that of the best, paired by case; None for the best, and without a rank.
        mean_iou: over folds, like those that follow; see `FoldRow`.
        mean_accuracy: MPA.
        accuracy: of all voxels.
        hd_mm: Hausdorff distance.
        hd95_mm: its 95th percentile.
        images_per_second: scans segmented per second.
        num_parameters: of the network; None if the evaluations do not say.
        seconds: wall time of all its trials together.
        cpu_hours: processors held, times hours.
        gpu_hours: GPUs held, times hours.
    """

    configuration: str
    recipe: str
    values: dict[str, str]
    rank: int | None
    left_out: str | None
    folds: tuple[FoldRow, ...]
    done: int
    failed: int
    stopped: int
    dice: MeanSd | None
    dice_over_cases: MeanSd | None
    interval: Interval | None
    behind: Interval | None
    mean_iou: MeanSd | None
    mean_accuracy: MeanSd | None
    accuracy: MeanSd | None
    hd_mm: MeanSd | None
    hd95_mm: MeanSd | None
    images_per_second: MeanSd | None
    num_parameters: int | None
    seconds: float
    cpu_hours: float
    gpu_hours: float


class CrossingCell(Score):
    """The ranked configurations with one value on either axis; mean and SD over all their folds.

    Attributes:
        configurations: how many there are.
        dice: mean over folds.
        mean_iou: mIoU.
        mean_accuracy: MPA.
    """

    configurations: int
    dice: MeanSd
    mean_iou: MeanSd
    mean_accuracy: MeanSd


class Crossing(Score):
    """Two axes against each other.

    Attributes:
        down: the axis of the rows.
        across: the axis of the columns.
        row_values: values of the former.
        column_values: values of the latter.
        cells: by row, then column; None where no configuration has a rank.
    """

    down: str
    across: str
    row_values: tuple[str, ...]
    column_values: tuple[str, ...]
    cells: tuple[tuple[CrossingCell | None, ...], ...]


class TrialRow(Score):
    """What one trial gave and cost.

    Attributes:
        configuration: its id.
        fold: its number.
        repeat: its number.
        status: how it ended.
        error: why it failed.
        dice: of its evaluation; without one, the last that was seen in training.
        steps: optimiser steps made.
        seconds: wall time for which it held its resources.
        cpu_hours: processors held, times hours.
        gpu_hours: GPUs held, times hours.
    """

    configuration: str
    fold: int
    repeat: int
    status: Literal["done", "failed", "stopped"]
    error: str | None
    dice: float | None
    steps: int
    seconds: float
    cpu_hours: float
    gpu_hours: float


class TestRow(Score):
    """The best configuration on the cases that no fold saw; means and medians as in `FoldRow`.

    Attributes:
        configuration: its id.
        cases: how many.
        dice: over cases.
        interval: how sure its mean is.
        mean_iou: over cases.
        mean_accuracy: over cases.
        accuracy: over cases.
        hd_mm: median over bones.
        hd95_mm: median over bones.
        images_per_second: scans segmented per second.
        bones: one summary per bone.
        members: mean Dice of each fold's model alone; empty if the model was trained anew on all folds' cases.
        gain: Dice of the ensemble minus the mean of its members', paired by case; None without members.
    """

    __test__ = False  # for pytest: not a class of tests

    configuration: str
    cases: int
    dice: MeanSd
    interval: Interval
    mean_iou: MeanSd
    mean_accuracy: MeanSd
    accuracy: MeanSd
    hd_mm: float | None
    hd95_mm: float | None
    images_per_second: float | None
    bones: tuple[BoneSummary, ...]
    members: tuple[float, ...]
    gain: Interval | None


class SweepReport(Score):
    """A whole sweep.

    Attributes:
        schema_version: of this document.
        name: of the sweep.
        axes: what was varied.
        folds: numbers of the folds that were run.
        repeats: runs of every fold.
        configurations: by rank; then those without one, in their own order.
        crossings: of every two axes with several values.
        curves: in the order of the configurations.
        trials: in their own order.
        test: None if no held-out cases were judged.
    """

    schema_version: Literal[1] = 1
    name: str
    axes: tuple[str, ...]
    folds: tuple[int, ...]
    repeats: int
    configurations: tuple[ConfigurationRow, ...]
    crossings: tuple[Crossing, ...]
    curves: tuple[LearningCurve, ...]
    trials: tuple[TrialRow, ...]
    test: TestRow | None

    @property
    def best(self) -> ConfigurationRow | None:
        """The configuration with rank 1; None if none is done on all folds."""
        return next((row for row in self.configurations if row.rank == 1), None)
