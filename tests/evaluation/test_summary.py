import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.scores import CaseScores
from osteon.evaluation.summary import Report, spread, summarise

GRID = Grid((4, 8, 8))
Labels = npt.NDArray[np.uint16]


def labels(**columns: tuple[int, int]) -> Labels:
    """Boxes of label ids (keywords ``id_7``) over columns x0 to x1, each bone in its own rows."""
    array = np.zeros(GRID.shape, dtype=np.uint16)
    for row, id_ in enumerate((3, 7, 8)):
        if f"id_{id_}" in columns:
            x0, x1 = columns[f"id_{id_}"]
            array[1:3, 2 * row : 2 * row + 2, x0:x1] = id_
    return array


@pytest.fixture
def cases(table: LabelTable) -> list[CaseScores]:
    """Three cases: good, one with a missed and a false positive bone, one with half the sacrum."""
    whole = labels(id_3=(0, 8), id_7=(0, 8))
    return [
        compare_labels(whole, whole, GRID, table, case_id="good"),
        compare_labels(labels(id_3=(0, 8), id_8=(0, 4)), whole, GRID, table, case_id="bad"),
        compare_labels(labels(id_3=(0, 4)), labels(id_3=(0, 8)), GRID, table, case_id="half"),
    ]


def test_a_spread_has_numpys_quantiles_and_counts_what_is_undefined() -> None:
    values = [0.1, 0.7, 0.4, 0.9]

    spread_ = spread([*values, None])

    assert (spread_.count, spread_.undefined) == (4, 1)
    assert spread_.mean == pytest.approx(0.525)
    assert [spread_.low, spread_.median, spread_.high] == pytest.approx(list(np.quantile(values, [0.16, 0.5, 0.84])))


def test_a_spread_of_nothing_is_undefined() -> None:
    empty = spread([None, None])

    assert (empty.count, empty.undefined) == (0, 2)
    assert empty.mean is empty.low is empty.median is empty.high is None


def test_bones_are_summed_up_over_the_cases_that_count_them(cases: list[CaseScores]) -> None:
    sacrum, left, right = summarise(cases).bones

    assert (sacrum.name, sacrum.in_reference, sacrum.missed, sacrum.false_positives) == ("sacrum", 3, 0, 0)
    assert sacrum.scores.dsc.mean == pytest.approx((1 + 1 + 2 / 3) / 3)
    assert sacrum.scores.nonzero_share == 1
    assert (left.name, left.in_reference, left.missed, left.false_positives) == ("hip_left", 2, 1, 0)
    assert left.scores.dsc.median == pytest.approx(0.5)
    assert left.scores.nonzero_share == 0.5
    assert (left.scores.hd_mm.count, left.scores.hd_mm.undefined) == (1, 1)
    assert left.scores.hd_mm.median == 0
    assert (right.name, right.in_reference, right.missed, right.false_positives) == ("hip_right", 0, 0, 1)
    assert right.scores.dsc.median == right.scores.nonzero_share == 0
    assert right.scores.recall.median is None


def test_cases_name_what_was_missed_and_what_was_not_there(cases: list[CaseScores]) -> None:
    good, bad, half = summarise(cases).cases

    assert not good.has_unmatched
    assert (bad.missed, bad.false_positives, bad.in_reference) == (("hip_left",), ("hip_right",), 2)
    assert bad.scores.dsc.mean == pytest.approx(1 / 3)
    assert half.scores.volume_error.median == pytest.approx(-0.5)
    assert half.any_bone_dsc == pytest.approx(2 / 3)


def test_the_whole_counts_pairs_of_case_and_bone(cases: list[CaseScores]) -> None:
    report = summarise(cases)

    assert (report.in_reference, report.missed, report.false_positives) == (5, 1, 1)
    assert report.overall.dsc.count == 6
    assert report.overall.dsc.mean == pytest.approx((1 + 1 + 1 + 0 + 0 + 2 / 3) / 6)
    assert report.overall.nonzero_share == pytest.approx(4 / 6)
    assert report.any_bone_dsc.count == 3
    assert [row.name for row in report.sides] == ["hip_left"]


def test_a_report_survives_json(cases: list[CaseScores]) -> None:
    report = summarise(cases)

    assert Report.model_validate_json(report.model_dump_json()) == report


def test_cases_of_two_tolerances_make_no_report(cases: list[CaseScores], table: LabelTable) -> None:
    other = compare_labels(labels(), labels(), GRID, table, tolerance_mm=1.5)

    with pytest.raises(ValueError, match=r"one tolerance, not of \[1.5, 3.0\]"):
        summarise([*cases, other])
    with pytest.raises(ValueError, match=r"not of \[\]"):
        summarise([])
