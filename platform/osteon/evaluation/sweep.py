"""A sweep judged: which configuration is best over its folds, how sure that is, and what it cost.

Knows the results of trials, no files. The tables are those of Li et al. 2022: fold by system (table 4), patch by loss
(tables 2 and 3).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from osteon.evaluation.averages import Interval, MeanSd
from osteon.evaluation.comparison import SystemRow, case_dice, system_row
from osteon.evaluation.crossings import cross
from osteon.evaluation.learning_curves import learning_curve
from osteon.evaluation.summary import Report
from osteon.evaluation.sweep_values import ConfigurationRow, FoldRow, SweepReport, TestRow, TrialRow
from osteon.evaluation.trials import CurvePoint, TestResult, TrialResult, results_rows

__all__ = ["CurvePoint", "SweepReport", "TestResult", "TrialResult", "results_rows", "summarise_sweep"]


@dataclass(frozen=True)
class _Judged:
    """What an evaluation says, worked out once."""

    row: SystemRow
    hd95_mm: float | None
    dice_of: dict[str, float]


@dataclass(frozen=True)
class _Configuration:
    """The trials of one configuration, and what is known of those that were evaluated."""

    trials: tuple[TrialResult, ...]
    judged: dict[tuple[int, int], _Judged]  # by fold and repeat

    @classmethod
    def of(cls, trials: Iterable[TrialResult]) -> _Configuration:
        kept = tuple(trials)
        judged = {(trial.fold, trial.repeat): _judge(trial.report) for trial in kept}
        return cls(kept, {place: each for place, each in judged.items() if each is not None})

    @property
    def dice_of(self) -> dict[str, float]:
        """Dice by case, the mean over a case's repeats."""
        found: dict[str, list[float]] = {}
        for each in self.judged.values():
            for case_id, dice in each.dice_of.items():
                found.setdefault(case_id, []).append(dice)
        return {case_id: statistics.fmean(values) for case_id, values in found.items()}


def summarise_sweep(
    name: str, axes: tuple[str, ...], trials: Sequence[TrialResult], test: TestResult | None
) -> SweepReport:
    """The report of a sweep, finished or not.

    Args:
        name: of the sweep.
        axes: what was varied, in the order of the tables.
        trials: those that are over, one for each configuration, fold and repeat; configurations keep their order.
        test: the best configuration on the held-out cases, if that was judged.
    """
    places = sorted({(trial.fold, trial.repeat) for trial in trials})
    names = list(dict.fromkeys(trial.configuration for trial in trials))
    found = {name: _Configuration.of(trial for trial in trials if trial.configuration == name) for name in names}
    rows = _ranked([_row(each, places) for each in found.values()])
    against = [_behind(row, found[row.configuration], found[rows[0].configuration]) for row in rows]
    return SweepReport(
        name=name,
        axes=axes,
        folds=tuple(sorted({fold for fold, _ in places})),
        repeats=len({repeat for _, repeat in places}),
        configurations=tuple(against),
        crossings=cross(axes, sorted(rows, key=lambda row: names.index(row.configuration))),
        curves=tuple(learning_curve(row.configuration, found[row.configuration].trials) for row in rows),
        trials=tuple(_trial_row(trial, found[trial.configuration]) for trial in trials),
        test=_test_row(test) if test is not None else None,
    )


def _judge(report: Report | None) -> _Judged | None:
    dice_of = case_dice(report) if report is not None else {}
    if report is None or not dice_of:
        return None
    return _Judged(system_row("", report), report.overall.hd95_mm.median, dice_of)


def _row(configuration: _Configuration, places: Sequence[tuple[int, int]]) -> ConfigurationRow:
    trials, judged = configuration.trials, list(configuration.judged.values())
    folds = tuple(_fold_row(fold, configuration) for fold in sorted({fold for fold, _ in places}))
    dice = list(configuration.dice_of.values())
    return ConfigurationRow(
        configuration=trials[0].configuration,
        recipe=trials[0].recipe,
        values=trials[0].values,
        rank=None,
        left_out=_left_out(configuration, places),
        folds=folds,
        done=len(judged),
        failed=sum(trial.status == "failed" for trial in trials),
        stopped=sum(trial.status == "stopped" for trial in trials),
        dice=_over_folds(fold.dice for fold in folds),
        dice_over_cases=MeanSd.of(dice) if dice else None,
        interval=Interval.of(dice) if dice else None,
        behind=None,
        mean_iou=_over_folds(fold.mean_iou for fold in folds),
        mean_accuracy=_over_folds(fold.mean_accuracy for fold in folds),
        accuracy=_over_folds(fold.accuracy for fold in folds),
        hd_mm=_over_folds(fold.hd_mm for fold in folds),
        hd95_mm=_over_folds(fold.hd95_mm for fold in folds),
        images_per_second=_over_folds(fold.images_per_second for fold in folds),
        num_parameters=next((each.row.num_parameters for each in judged if each.row.num_parameters), None),
        seconds=sum(trial.seconds for trial in trials),
        cpu_hours=sum(trial.cpus * trial.seconds for trial in trials) / 3600,
        gpu_hours=sum(trial.gpus * trial.seconds for trial in trials) / 3600,
    )


def _left_out(configuration: _Configuration, places: Sequence[tuple[int, int]]) -> str | None:
    """In words; None if all is there."""
    status = {(trial.fold, trial.repeat): trial.status for trial in configuration.trials}
    words = {
        "failed": "failed",
        "stopped": "stopped by the scheduler",
        "done": "without a judged bone",
        None: "not run",
    }
    missing = [words[status.get(place)] for place in places if place not in configuration.judged]
    return ", ".join(f"{missing.count(why)} {why}" for why in dict.fromkeys(missing)) or None


def _fold_row(fold: int, configuration: _Configuration) -> FoldRow:
    judged = [each for (number, _), each in configuration.judged.items() if number == fold]

    def mean(value: Callable[[_Judged], float | None]) -> float | None:
        values = [found for each in judged if (found := value(each)) is not None]
        return statistics.fmean(values) if values else None

    return FoldRow(
        fold=fold,
        dice=mean(lambda each: each.row.dsc.mean),
        mean_iou=mean(lambda each: each.row.mean_iou.mean),
        mean_accuracy=mean(lambda each: each.row.mean_accuracy.mean),
        accuracy=mean(lambda each: each.row.accuracy.mean),
        hd_mm=mean(lambda each: each.row.hd_mm),
        hd95_mm=mean(lambda each: each.hd95_mm),
        images_per_second=mean(lambda each: each.row.images_per_second),
    )


def _over_folds(values: Iterable[float | None]) -> MeanSd | None:
    defined = [value for value in values if value is not None]
    return MeanSd.of(defined) if defined else None


def _ranked(rows: Sequence[ConfigurationRow]) -> list[ConfigurationRow]:
    """By the mean of Dice over folds, those that are done; then the others in their own order."""
    done = sorted((row for row in rows if not row.left_out), key=lambda row: -(row.dice.mean if row.dice else 0.0))
    ranked = [row.model_copy(update={"rank": rank}) for rank, row in enumerate(done, start=1)]
    return ranked + [row for row in rows if row.left_out]


def _behind(row: ConfigurationRow, mine: _Configuration, best: _Configuration) -> ConfigurationRow:
    """With how far it is behind the best, on the cases that both were judged on."""
    if row.rank in (None, 1):
        return row
    other = best.dice_of
    gaps = [dice - other[case_id] for case_id, dice in mine.dice_of.items() if case_id in other]
    return row.model_copy(update={"behind": Interval.of(gaps)})


def _trial_row(trial: TrialResult, configuration: _Configuration) -> TrialRow:
    judged = configuration.judged.get((trial.fold, trial.repeat))
    return TrialRow(
        configuration=trial.configuration,
        fold=trial.fold,
        repeat=trial.repeat,
        status=trial.status,
        error=trial.error,
        dice=judged.row.dsc.mean if judged else trial.dice,
        steps=trial.steps,
        seconds=trial.seconds,
        cpu_hours=trial.cpus * trial.seconds / 3600,
        gpu_hours=trial.gpus * trial.seconds / 3600,
    )


def _test_row(test: TestResult) -> TestRow | None:
    judged = _judge(test.ensemble)
    if judged is None:
        return None
    row, dice = judged.row, judged.dice_of
    members = [case_dice(member) for member in test.members]
    gains = [
        dice[case_id] - statistics.fmean(member[case_id] for member in members)
        for case_id in dice
        if members and all(case_id in member for member in members)
    ]
    return TestRow(
        configuration=test.configuration,
        cases=len(test.ensemble.cases),
        dice=row.dsc,
        interval=Interval.of(list(dice.values())),
        mean_iou=row.mean_iou,
        mean_accuracy=row.mean_accuracy,
        accuracy=row.accuracy,
        hd_mm=row.hd_mm,
        hd95_mm=judged.hd95_mm,
        images_per_second=row.images_per_second,
        bones=test.ensemble.bones,
        members=tuple(statistics.fmean(member.values()) for member in members if member),
        gain=Interval.of(gains) if gains else None,
    )
