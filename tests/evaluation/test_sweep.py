"""Sweeps judged from their trials: ranks, folds, intervals, crossings, curves, costs; against numbers made by hand."""

import json
import statistics
from collections.abc import Callable, Mapping

import numpy as np
import pytest

from osteon.evaluation.averages import Interval, bootstrap_interval
from osteon.evaluation.summary import Report
from osteon.evaluation.sweep import CurvePoint, SweepReport, TestResult, TrialResult, results_rows, summarise_sweep

AXES = ("loss.kind", "sampling.patch_shape")
Trial = Callable[..., TrialResult]
Evaluate = Callable[[Mapping[str, int]], Report]


def dice(found: int) -> float:
    """Of a case: its sacrum, of which so many columns are found, and its hip."""
    return (2 * found / (8 + found) + 1) / 2


@pytest.fixture
def trials(trial: Trial) -> list[TrialResult]:
    """Two losses by two patches on two folds with two cases each; of the last configuration one fold failed."""
    found = {
        ("c000", "dice", "16"): ((4, 5), (6, 4)),
        ("c001", "dice", "32"): ((8, 7), (6, 8)),
        ("c002", "hybrid", "16"): ((2, 1), (1, 2)),
        ("c003", "hybrid", "32"): ((8, 8), None),
    }
    made = []
    for (name, loss, patch), folds in found.items():
        for fold, cases in enumerate(folds):
            if cases is None:
                made.append(trial(name, loss, patch, fold, None, status="failed", error="out of memory", steps=20))
            else:
                names = {f"f{fold}a": cases[0], f"f{fold}b": cases[1]}
                made.append(trial(name, loss, patch, fold, names))
    return made


@pytest.fixture
def report(trials: list[TrialResult]) -> SweepReport:
    return summarise_sweep("losses", AXES, trials, None)


def test_configurations_are_ranked_by_the_mean_over_folds(report: SweepReport) -> None:
    assert [(row.configuration, row.rank) for row in report.configurations] == [
        ("c001", 1),
        ("c000", 2),
        ("c002", 3),
        ("c003", None),
    ]
    assert report.best is not None
    folds = [(dice(8) + dice(7)) / 2, (dice(6) + dice(8)) / 2]
    assert [fold.dice for fold in report.best.folds] == pytest.approx(folds)
    assert report.best.dice is not None
    assert report.best.dice.mean == pytest.approx(statistics.fmean(folds))
    assert report.best.dice.sd == pytest.approx(statistics.stdev(folds))


def test_what_is_not_done_on_all_folds_has_no_rank(report: SweepReport) -> None:
    perfect = report.configurations[-1]
    assert (perfect.left_out, perfect.done, perfect.failed, perfect.stopped) == ("1 failed", 1, 1, 0)
    assert [fold.dice for fold in perfect.folds] == [1, None]
    assert perfect.behind is None


def test_reasons_name_all_that_is_missing(trial: Trial) -> None:
    done = [trial("c000", "dice", "16", fold, {f"f{fold}": 4}) for fold in range(4)]
    stopped = [trial("c001", "dice", "32", fold, None, status="stopped") for fold in range(2)]
    report = summarise_sweep("one", AXES, [*done, *stopped, trial("c001", "dice", "32", 3, {"f3": 8})], None)
    assert report.configurations[1].left_out == "2 stopped by the scheduler, 1 not run"


def test_measures_are_those_of_a_comparison(report: SweepReport) -> None:
    assert report.best is not None
    best = report.best
    whole, half = 2 * 2 * 8, 4 * 8 * 8  # voxels of a bone, of the scan
    missed = [2 * 2 * (8 - found) for found in (8, 7, 6, 8)]
    accuracy = [1 - each / half for each in missed]
    folds = [statistics.fmean(accuracy[:2]), statistics.fmean(accuracy[2:])]
    assert best.accuracy is not None
    assert best.accuracy.mean == pytest.approx(statistics.fmean(folds))
    assert best.mean_accuracy is not None
    assert best.mean_accuracy.mean == pytest.approx(1 - statistics.fmean(missed) / whole / 3)
    assert best.hd_mm is not None
    assert best.hd_mm.mean == 0  # the median over four bones of a fold, three of them perfect
    assert best.images_per_second is not None
    assert best.images_per_second.mean == 4
    assert best.num_parameters == 1_500_000


def test_intervals_are_over_cases_and_differences_paired_by_case(report: SweepReport) -> None:
    best, second, _, _ = report.configurations
    mine, other = [dice(n) for n in (8, 7, 6, 8)], [dice(n) for n in (4, 5, 6, 4)]
    assert best.interval == Interval.of(mine)
    assert best.dice_over_cases is not None
    assert best.dice_over_cases.mean == pytest.approx(statistics.fmean(mine))
    gaps = [low - high for low, high in zip(other, mine, strict=True)]
    assert best.behind is None
    assert second.behind is not None
    assert second.behind.mean == pytest.approx(statistics.fmean(gaps))
    assert second.behind == Interval.of(gaps)
    assert second.behind.low < second.behind.mean < second.behind.high < 0


def test_a_bootstrap_interval_is_near_the_normal_one_and_fixed() -> None:
    values = np.random.default_rng(1).normal(0.8, 0.1, 200)
    low, high = bootstrap_interval(values, np.mean)
    error = values.std(ddof=1) / np.sqrt(200)
    assert (low, high) == pytest.approx((values.mean() - 1.96 * error, values.mean() + 1.96 * error), abs=0.1 * error)
    assert bootstrap_interval(values, np.mean) == (low, high)


def test_repeats_of_a_case_are_averaged_first(trial: Trial) -> None:
    trials = [
        trial("c000", "dice", "16", fold, {f"f{fold}": found[repeat]}, repeat=repeat)
        for fold, found in enumerate(((2, 8), (4, 6)))
        for repeat in range(2)
    ]
    report = summarise_sweep("one", AXES, trials, None)
    assert report.best is not None
    means = [(dice(2) + dice(8)) / 2, (dice(4) + dice(6)) / 2]
    assert (report.folds, report.repeats) == ((0, 1), 2)
    assert [fold.dice for fold in report.best.folds] == pytest.approx(means)
    assert report.best.interval == Interval.of(means)
    half = summarise_sweep("one", AXES, [*trials[:-1], trials[-1].model_copy(update={"configuration": "c001"})], None)
    assert half.best is None
    assert half.configurations[0].left_out == "1 not run"


def test_two_axes_make_a_table(report: SweepReport) -> None:
    (table,) = report.crossings
    assert (table.down, table.across) == AXES
    assert (table.row_values, table.column_values) == (("dice", "hybrid"), ("16", "32"))
    (first, second), (third, none) = table.cells
    assert none is None  # c003 has no rank
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.configurations == 1
    assert report.best is not None
    assert (second.dice, second.mean_iou, second.mean_accuracy) == (
        report.best.dice,
        report.best.mean_iou,
        report.best.mean_accuracy,
    )


def test_a_third_axis_is_pooled(trial: Trial) -> None:
    trials = [
        trial(
            f"c{2 * seed + lr}",
            "dice",
            "16",
            0,
            {"a": 4 + 2 * seed + lr},
            values={"lr": str(lr), "seed": str(seed), "extra": extra},
        )
        for seed, lr, extra in ((0, 0, "x"), (0, 1, "x"), (1, 0, "x"), (1, 1, "y"))
    ]
    tables = summarise_sweep("three", ("lr", "seed", "extra"), trials, None).crossings
    assert [(table.down, table.across) for table in tables] == [("lr", "seed"), ("lr", "extra"), ("seed", "extra")]
    pooled = tables[1].cells[0][0]
    assert pooled is not None
    assert pooled.configurations == 2
    assert pooled.dice.mean == pytest.approx((dice(4) + dice(6)) / 2)


def test_drawn_axes_make_no_table(trial: Trial) -> None:
    trials = [trial(f"c{n}", f"{n}", f"{n * n}", 0, {"a": 4}) for n in range(4)]
    assert summarise_sweep("drawn", AXES, trials, None).crossings == ()


def test_curves_are_the_median_and_the_range_of_the_folds(trial: Trial) -> None:
    def curve(*points: tuple[int, float]) -> tuple[CurvePoint, ...]:
        return tuple(CurvePoint(step=step, loss=None if step == 10 else 1.0, dice=value) for step, value in points)

    trials = [
        trial("c000", "dice", "16", 0, {"a": 4}, curve=curve((10, 0.1), (30, 0.5))),
        trial("c000", "dice", "16", 1, {"b": 4}, curve=curve((10, 0.3), (20, 0.4), (30, 0.9))),
        trial("c000", "dice", "16", 2, None, status="failed", curve=curve((10, 0.2))),
    ]
    (found,) = summarise_sweep("one", AXES, trials, None).curves
    assert [band.step for band in found.dice] == [10, 20, 30]
    assert [band.median for band in found.dice] == pytest.approx([0.2, 0.35, 0.7])
    assert [band.low for band in found.dice] == pytest.approx([0.1, 0.3, 0.5])
    assert [band.high for band in found.dice] == pytest.approx([0.3, 0.4, 0.9])
    assert [band.step for band in found.loss] == [20, 30]


def test_long_curves_are_thinned_to_what_a_page_shows(trial: Trial) -> None:
    points = tuple(CurvePoint(step=step, loss=float(step), dice=None) for step in range(1, 5001))
    (found,) = summarise_sweep("one", AXES, [trial("c", "dice", "16", 0, {"a": 4}, curve=points)], None).curves
    assert len(found.loss) == 100
    assert (found.loss[0].step, found.loss[-1].step) == (1, 5000)
    assert found.dice == ()


def test_what_diverged_or_was_logged_again_does_not_spoil_a_curve(trial: Trial) -> None:
    logged = ((10, 1.0), (20, 9.0), (10, 2.0), (20, 3.0), (30, float("nan")), (40, float("inf")))
    points = tuple(CurvePoint(step=step, loss=loss, dice=None) for step, loss in logged)
    report = summarise_sweep("one", AXES, [trial("c", "dice", "16", 0, {"a": 4}, curve=points)], None)
    assert [(band.step, band.median) for band in report.curves[0].loss] == [(10, 2), (20, 3)]
    assert SweepReport.model_validate_json(report.model_dump_json()) == report


def test_costs_are_counted_for_all_trials(report: SweepReport) -> None:
    last = report.configurations[-1]
    assert (last.seconds, last.cpu_hours, last.gpu_hours) == (3600, 2, 0.5)
    failed = report.trials[-1]
    assert (failed.status, failed.error, failed.dice, failed.steps) == ("failed", "out of memory", 0.5, 20)
    assert (failed.cpu_hours, failed.gpu_hours) == (1, 0.25)
    assert report.trials[0].dice == pytest.approx((dice(4) + dice(5)) / 2)


def test_an_ensemble_is_compared_with_its_members(trials: list[TrialResult], evaluate: Evaluate) -> None:
    members = (evaluate({"t0": 4, "t1": 6}), evaluate({"t0": 6, "t1": 6}))
    test = TestResult(configuration="c001", ensemble=evaluate({"t0": 7, "t1": 6}), members=members)
    row = summarise_sweep("losses", AXES, trials, test).test
    assert row is not None
    assert (row.configuration, row.cases) == ("c001", 2)
    assert row.dice.mean == pytest.approx((dice(7) + dice(6)) / 2)
    assert row.members == pytest.approx(((dice(4) + dice(6)) / 2, dice(6)))
    assert row.gain is not None
    assert row.gain.mean == pytest.approx((dice(7) - (dice(4) + dice(6)) / 2) / 2)
    assert [bone.name for bone in row.bones] == ["sacrum", "hip_left"]


def test_a_refit_has_no_members(trials: list[TrialResult], evaluate: Evaluate) -> None:
    test = TestResult(configuration="c001", ensemble=evaluate({"t0": 7}), members=())
    row = summarise_sweep("losses", AXES, trials, test).test
    assert row is not None
    assert (row.members, row.gain) == ((), None)


def test_nothing_done_is_a_report_too(trial: Trial) -> None:
    failed = [trial("c000", "dice", "16", fold, None, status="failed", error="no", curve=()) for fold in range(2)]
    report = summarise_sweep("unlucky", AXES, failed, None)
    assert report.best is None
    assert report.configurations[0].left_out == "2 failed"
    assert (report.crossings, report.curves[0].dice) == ((), ())
    assert summarise_sweep("empty", AXES, [], None).configurations == ()


def test_an_evaluation_without_bones_does_not_count(trial: Trial, evaluate: Evaluate) -> None:
    empty = evaluate({"a": 4})
    details = tuple(case.model_copy(update={"bones": ()}) for case in empty.details)
    found = trial("c000", "dice", "16", 0, None, report=empty.model_copy(update={"details": details}))
    assert summarise_sweep("one", AXES, [found], None).configurations[0].left_out == "1 without a judged bone"


def test_a_report_can_be_stored(report: SweepReport) -> None:
    assert SweepReport.model_validate_json(report.model_dump_json()) == report


def test_rows_are_flat_and_complete(trials: list[TrialResult]) -> None:
    rows = results_rows(trials)
    assert len(rows) == 7 * 2 * 2 + 1
    assert len({tuple(row) for row in rows}) == 1
    first, last = rows[0], rows[-1]
    assert first["configuration"] == "c000"
    assert (first["loss.kind"], first["sampling.patch_shape"], first["recipe"]) == ("dice", "16", "tiny")
    assert (first["case_id"], first["bone"], first["status"]) == ("f0a", "sacrum", "done")
    assert first["dsc"] == pytest.approx(2 / 3)
    assert (first["recall"], first["volume_error"]) == (0.5, -0.5)
    assert (last["status"], last["case_id"], last["bone"], last["dsc"]) == ("failed", None, None, None)
    json.dumps(rows)
