"""Several systems judged on the same cases: one row of numbers each, and how sure their differences are.

Knows reports, no files. The columns are those of the papers' tables: docs/reference/metrics.md says which is whose.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
from scipy import stats

from osteon.core.errors import BadInput
from osteon.evaluation.averages import MeanSd, bootstrap_interval
from osteon.evaluation.confusion import add_up
from osteon.evaluation.pixels import pixel_scores
from osteon.evaluation.scores import Score
from osteon.evaluation.summary import Report, Spread, spread

FEWEST_PAIRS = 6  # with fewer no signed-rank test can reach p < 0.05


class SystemRow(Score):
    """One system over all common cases.

    Attributes:
        name: of the system.
        dsc: mean over the bones of a case, then over cases (Li et al. 2022, table 4; Saillard et al. 2023, table 1).
        mean_iou: mIoU, background counted (Li; Krawczyk et al. 2021, table 1).
        mean_accuracy: MPA (Li).
        accuracy: pixel accuracy (Krawczyk).
        hd_mm: median Hausdorff distance over bones (Saillard).
        dsc_median: over all counted bones with a Dice above 0, with the 16 and 84 % quantiles (Schnider et al. 2022,
            table 2).
        nonzero_share: share of the counted bones with a Dice above 0 (Schnider).
        volume_error: median of the absolute relative error of the volume (Deng et al. 2022).
        images_per_second: 1 / mean seconds of a scan, reading included (Li's FPS); None without times.
        ms_per_slice: mean milliseconds of an axial slice (Krawczyk); None without times.
        num_parameters: of the network; None if the report does not say.
        seconds_per_step: of training (Schnider, table 1); None if the report does not say.
    """

    name: str
    dsc: MeanSd
    mean_iou: MeanSd
    mean_accuracy: MeanSd
    accuracy: MeanSd
    hd_mm: float | None
    dsc_median: Spread
    nonzero_share: float
    volume_error: float | None
    images_per_second: float | None
    ms_per_slice: float | None
    num_parameters: int | None
    seconds_per_step: float | None


class Difference(Score):
    """How two systems differ in Dice, pair by pair of case and bone.

    Attributes:
        first: name of a system.
        second: name of the other.
        pairs: of case and bone that count in both.
        mean: of second - first.
        median: likewise; 0 where most bones are found by neither.
        low: lower end of the 95 % bootstrap interval of the median.
        high: its upper end.
        better: share of the pairs in which the second is better.
        p_value: of the two-sided Wilcoxon signed-rank test; None with too few pairs that differ.
        p_adjusted: the same after Holm's correction for all comparisons of the page.
    """

    first: str
    second: str
    pairs: int
    mean: float
    median: float
    low: float
    high: float
    better: float
    p_value: float | None
    p_adjusted: float | None


class ConfusionMatrix(Score):
    """Among chosen bones: the share of each reference bone's voxels that was called each bone.

    Attributes:
        system: its name.
        bones: names, in order of rows and columns.
        shares: by reference bone, then predicted bone; what a row lacks to 1 was called something else.
    """

    system: str
    bones: tuple[str, ...]
    shares: tuple[tuple[float, ...], ...]


class Comparison(Score):
    """Everything that ``comparison.json`` holds.

    Attributes:
        schema_version: of this document.
        cases: common to all systems, in order; only they count.
        left_out: cases that some report lacks.
        systems: in the order given.
        differences: of every two systems.
        confusion: one matrix per system; empty if no bones were chosen.
        class_iou: mean IoU over cases by class name, by system; the background included.
    """

    schema_version: int = 1
    cases: tuple[str, ...]
    left_out: tuple[str, ...]
    systems: tuple[SystemRow, ...]
    differences: tuple[Difference, ...]
    confusion: tuple[ConfusionMatrix, ...]
    class_iou: dict[str, dict[str, float]]


def compare_reports(reports: dict[str, Report], bones: Sequence[str] = ()) -> Comparison:
    """Compare systems on the cases that all reports have.

    Args:
        reports: by the system's name; two or more.
        bones: names of the bones of the confusion matrices.

    Raises:
        BadInput: ``too-few-runs``, ``no-common-cases``, ``no-bones`` or ``unknown-bone``.
    """
    cases, left_out = _common_cases(reports)
    kept = {name: _only(report, cases) for name, report in reports.items()}
    return Comparison(
        cases=cases,
        left_out=left_out,
        systems=tuple(system_row(name, report) for name, report in kept.items()),
        differences=_differences(kept),
        confusion=_matrices(kept, bones),
        class_iou={name: _class_iou(report) for name, report in kept.items()},
    )


def _common_cases(reports: dict[str, Report]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if len(reports) < 2:
        raise BadInput("too-few-runs", f"{len(reports)} evaluation to compare", remedy="name two or more")
    held = [{case.case_id for case in report.details} for report in reports.values()]
    common, all_ = set.intersection(*held), set.union(*held)
    if not common:
        raise BadInput(
            "no-common-cases", "the evaluations have no case in common", remedy="evaluate the systems on the same cases"
        )
    return tuple(sorted(common)), tuple(sorted(all_ - common))


def _only(report: Report, cases: Sequence[str]) -> Report:
    by_id = {case.case_id: case for case in report.details}
    return report.model_copy(update={"details": tuple(by_id[case_id] for case_id in cases)})


def system_row(name: str, report: Report) -> SystemRow:
    """The row of one system, over all cases of its report.

    Raises:
        BadInput: ``no-bones``.
    """
    pixels = [pixel_scores(case) for case in report.details]
    bones = [bone for case in report.details for bone in case.bones]
    if not bones:
        raise BadInput("no-bones", "no bone was judged in the common cases", where=name)
    distances = [bone.hd_mm for bone in bones if bone.hd_mm is not None]
    errors = [abs(bone.volume_error) for bone in bones if bone.volume_error is not None]
    facts = report.facts
    times = [facts.seconds[case.case_id] for case in report.details if case.case_id in facts.seconds] if facts else []
    slices = sum(case.shape[0] for case in report.details)
    return SystemRow(
        name=name,
        dsc=MeanSd.of(list(case_dice(report).values())),
        mean_iou=MeanSd.of([each.mean_iou for each in pixels]),
        mean_accuracy=MeanSd.of([each.mean_accuracy for each in pixels]),
        accuracy=MeanSd.of([each.accuracy for each in pixels]),
        hd_mm=statistics.median(distances) if distances else None,
        dsc_median=spread(bone.dsc for bone in bones if bone.dsc > 0),
        nonzero_share=sum(bone.dsc > 0 for bone in bones) / len(bones),
        volume_error=statistics.median(errors) if errors else None,
        images_per_second=len(times) / sum(times) if times else None,
        ms_per_slice=1000 * sum(times) / slices if times else None,
        num_parameters=facts.num_parameters if facts else None,
        seconds_per_step=facts.seconds_per_step if facts else None,
    )


def case_dice(report: Report) -> dict[str, float]:
    """Mean Dice over the bones of a case, by case id; a case without bones has none."""
    return {case.case_id: statistics.fmean(bone.dsc for bone in case.bones) for case in report.details if case.bones}


def _differences(reports: dict[str, Report]) -> tuple[Difference, ...]:
    names = list(reports)
    found = [_difference(a, b, reports) for number, a in enumerate(names) for b in names[number + 1 :]]
    return tuple(_adjusted([each for each in found if each is not None]))


def _difference(first: str, second: str, reports: dict[str, Report]) -> Difference | None:
    mine, other = _dice_by_pair(reports[first]), _dice_by_pair(reports[second])
    pairs = sorted(mine.keys() & other.keys())
    if not pairs:
        return None
    gains = np.array([other[pair] - mine[pair] for pair in pairs])
    low, high = bootstrap_interval(gains, np.median)
    moved = int((gains != 0).sum())
    return Difference(
        first=first,
        second=second,
        pairs=len(pairs),
        mean=float(gains.mean()),
        median=float(np.median(gains)),
        low=low,
        high=high,
        better=float((gains > 0).mean()),
        p_value=float(stats.wilcoxon(gains).pvalue) if moved >= FEWEST_PAIRS else None,
        p_adjusted=None,
    )


def _dice_by_pair(report: Report) -> dict[tuple[str, int], float]:
    return {(case.case_id, bone.id): bone.dsc for case in report.details for bone in case.bones}


def _adjusted(found: list[Difference]) -> list[Difference]:
    """With Holm's step-down correction (Holm 1979)."""
    tested = sorted((each for each in found if each.p_value is not None), key=lambda each: each.p_value or 0.0)
    adjusted: dict[tuple[str, str], float] = {}
    largest = 0.0
    for number, each in enumerate(tested):
        largest = max(largest, min(1.0, (each.p_value or 0.0) * (len(tested) - number)))
        adjusted[each.first, each.second] = largest
    return [each.model_copy(update={"p_adjusted": adjusted.get((each.first, each.second))}) for each in found]


def _matrices(reports: dict[str, Report], bones: Sequence[str]) -> tuple[ConfusionMatrix, ...]:
    judged = [bone for report in reports.values() for case in report.details for bone in case.bones]
    ids = {bone.name: bone.id for bone in judged}
    unknown = [bone for bone in bones if bone not in ids]
    if unknown:
        raise BadInput(
            "unknown-bone",
            f"{', '.join(unknown)} was judged in no common case",
            remedy=f"choose among {', '.join(sorted(ids))}",
        )
    return tuple(_matrix(name, report, bones, ids) for name, report in reports.items()) if bones else ()


def _matrix(name: str, report: Report, bones: Sequence[str], ids: dict[str, int]) -> ConfusionMatrix:
    counts = add_up(pair for case in report.details for pair in case.confusion)
    shares = []
    for row in bones:
        called = counts.get(ids[row])
        shares.append(tuple(called[ids[column]] / called.total() if called else 0.0 for column in bones))
    return ConfusionMatrix(system=name, bones=tuple(bones), shares=tuple(shares))


def _class_iou(report: Report) -> dict[str, float]:
    names = {bone.id: bone.name for case in report.details for bone in case.bones} | {0: "background"}
    values: dict[str, list[float]] = {}
    for case in report.details:
        for id_, iou in pixel_scores(case).iou.items():
            values.setdefault(names[id_], []).append(iou)
    return {name: statistics.fmean(each) for name, each in values.items()}
