"""Conversion to HU against exact arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteon.core.errors import BadScan
from osteon.storage.readers.hounsfield import NOTHING, Survey, judge, survey, to_hu


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<u2", ">u2", "<i4", "<u4", "u1", "i1", "<i8"])
@given(
    values=st.lists(st.integers(-(2**15), 2**16), min_size=1, max_size=8),
    slope=st.sampled_from([1.0, 2.0, 0.5, 1.25]),
    intercept=st.sampled_from([0.0, -1024.0, -1000.5, 32768.0, 1e6, -40000.0]),
)
def test_equal_to_exact_arithmetic_or_refused(dtype: str, values: list[int], slope: float, intercept: float) -> None:
    limits = np.iinfo(np.dtype(dtype))
    stored = np.clip(values, limits.min, limits.max).astype(dtype)
    exact = [round(int(value) * slope + intercept) for value in stored]  # half to even, as np.rint
    if min(exact) >= -(2**15) and max(exact) < 2**15:
        found = to_hu(stored, slope, intercept)
        assert found.dtype == np.dtype(np.int16)
        assert found.tolist() == exact
    else:
        with pytest.raises(BadScan) as caught:
            to_hu(stored, slope, intercept)
        assert caught.value.code == "hu-range"


def test_nan_is_refused() -> None:
    with pytest.raises(BadScan):
        to_hu(np.array([np.nan, 1.0]), 1.0, 0.0)


def test_a_survey_looks_at_every_voxel() -> None:
    values = np.array([[-5.0, np.nan], [7.25, np.inf]])
    assert survey(values, 2.0, 1.0) == Survey(-9.0, 15.5, non_finite=2, rounding=0.5)
    assert survey(np.array([3, -4], np.int16), 1.0, -1000.0) == Survey(-1004.0, -997.0)
    assert survey(np.empty((0, 3)), 1.0, 0.0) == NOTHING
    assert survey(np.array([np.nan]), 1.0, 0.0).non_finite == 1


def test_parts_merge_to_the_whole() -> None:
    values = np.random.default_rng(0).normal(0, 500, 1000)
    whole = survey(values, 1.0, 0.0)
    assert survey(values[:300], 1.0, 0.0).merge(survey(values[300:], 1.0, 0.0)) == whole


@pytest.mark.parametrize(
    ("minimum", "maximum", "marked"), [(-1000, 1500, False), (0, 255, True), (-1000, 50, True), (-150, 900, False)]
)
def test_ranges_that_are_no_ct_scan(minimum: float, maximum: float, marked: bool) -> None:
    notes = judge(Survey(minimum, maximum), is_ct=True)
    assert bool(notes) == marked
    assert all(note.startswith("non-hu: ") for note in notes)


def test_what_nothing_calls_a_ct_scan_must_have_a_ct_scans_range() -> None:
    with pytest.raises(BadScan) as caught:
        judge(Survey(0, 4), is_ct=False)
    assert caught.value.code == "non-hu"
