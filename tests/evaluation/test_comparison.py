"""Systems on common cases: rows, differences and their tests, confusion; against numbers worked out by hand."""

import numpy as np
import pytest
from scipy import stats

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.comparison import Comparison, compare_reports
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.scores import CaseScores
from osteon.evaluation.summary import Report, summarise

GRID = Grid((4, 8, 8))


def case(table: LabelTable, case_id: str, sacrum: int, hip: int = 8, called: int = 7) -> CaseScores:
    """The sacrum fills 8 columns of which so many are found; so does the left hip, which is called something."""
    reference, prediction = np.zeros((2, *GRID.shape), dtype=np.uint8)
    reference[1:3, :2], prediction[1:3, :2, :sacrum] = 3, 3
    reference[1:3, 4:6], prediction[1:3, 4:6, :hip] = 7, called
    return compare_labels(prediction, reference, GRID, table, case_id=case_id)


def report(*cases: CaseScores) -> Report:
    return summarise(cases)


def dice(found: int) -> float:
    return 2 * found / (8 + found)


@pytest.fixture
def comparison(table: LabelTable) -> Comparison:
    good = report(*(case(table, f"c{n}", 8 - n % 2, 8 - n % 3) for n in range(6)), case(table, "extra", 8))
    bad = report(*(case(table, f"c{n}", 4 - n % 2, 8, called=8) for n in range(6)))
    return compare_reports({"good": good, "bad": bad}, ["hip_left", "hip_right"])


def test_only_common_cases_count(comparison: Comparison) -> None:
    assert comparison.cases == ("c0", "c1", "c2", "c3", "c4", "c5")
    assert comparison.left_out == ("extra",)


def test_rows_hold_the_numbers_of_the_papers(comparison: Comparison) -> None:
    good, bad = comparison.systems
    means = [(dice(8 - n % 2) + dice(8 - n % 3)) / 2 for n in range(6)]
    assert good.dsc.mean == pytest.approx(np.mean(means))
    assert good.dsc.sd == pytest.approx(np.std(means, ddof=1))
    assert (good.nonzero_share, good.hd_mm) == (1, 1)
    found = [dice(4 - n % 2) for n in range(6)]  # both hips have Dice 0: one missed, one false positive
    assert bad.nonzero_share == pytest.approx(1 / 3)
    assert bad.dsc_median.median == pytest.approx(np.median(found))
    assert bad.dsc.mean == pytest.approx(np.mean(found) / 3)
    assert bad.volume_error == pytest.approx(np.median([1] * 6 + [(4 + n % 2) / 8 for n in range(6)]))
    assert (good.images_per_second, good.num_parameters, good.seconds_per_step) == (None, None, None)


def test_differences_are_paired_by_case_and_bone(comparison: Comparison) -> None:
    (difference,) = comparison.differences
    gains = [dice(4 - n % 2) - dice(8 - n % 2) for n in range(6)] + [0 - dice(8 - n % 3) for n in range(6)]
    assert (difference.first, difference.second, difference.pairs) == ("good", "bad", 12)
    assert difference.mean == pytest.approx(np.mean(gains))
    assert difference.median == pytest.approx(np.median(gains))
    assert difference.low <= difference.median <= difference.high < 0
    assert difference.better == 0
    assert difference.p_value == pytest.approx(stats.wilcoxon(gains).pvalue)
    assert difference.p_adjusted == difference.p_value


def test_several_tests_are_corrected_together(table: LabelTable) -> None:
    systems = {
        name: report(*(case(table, f"c{n}", 8 - (n + k) % 4, 8 - k) for n in range(6)))
        for k, name in enumerate(("a", "b", "c"))
    }
    found = sorted(compare_reports(systems).differences, key=lambda each: each.p_value or 0)
    plain = [each.p_value or 0.0 for each in found]
    expected = np.maximum.accumulate([min(1.0, p * (3 - k)) for k, p in enumerate(plain)])
    assert [each.p_adjusted for each in found] == pytest.approx(list(expected))


def test_few_pairs_have_no_test(table: LabelTable) -> None:
    systems = {"a": report(case(table, "one", 8)), "b": report(case(table, "one", 6))}
    (difference,) = compare_reports(systems).differences
    assert (difference.pairs, difference.p_value, difference.p_adjusted) == (2, None, None)


def test_confusion_is_shares_of_the_reference(comparison: Comparison) -> None:
    good, bad = comparison.confusion
    assert good.bones == ("hip_left", "hip_right")
    assert good.shares[0] == pytest.approx((np.mean([8 - n % 3 for n in range(6)]) / 8, 0))
    assert bad.shares == ((0, 1), (0, 0))


def test_what_cannot_be_compared_is_refused(table: LabelTable) -> None:
    one = report(case(table, "one", 8))
    for reports, bones, code in (
        ({"a": one}, (), "too-few-runs"),
        ({"a": one, "b": report(case(table, "two", 8))}, (), "no-common-cases"),
        ({"a": one, "b": one}, ("tibia_left",), "unknown-bone"),
    ):
        with pytest.raises(BadInput) as caught:
            compare_reports(reports, bones)
        assert caught.value.code == code
