"""HU histograms of a case: bounded in size whatever the scan, mergeable, exact enough for percentiles to 1 HU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from osteon.core.volume import Array

FIRST_HU = -2048
NUM_BINS = 8192  # one HU each; values outside count in the first or last bin
STRIDE = 4  # of the whole-scan sample along each axis: one voxel in 64; divides the depth of a row
WHOLE, FOREGROUND = 0, 1

Histograms = npt.NDArray[np.int64]


def count_hu(image: npt.NDArray[np.int16], labels: Array | None) -> Histograms:
    """Histograms (2, bins) of a row's slab: a regular sample of all voxels, and every voxel that has a label."""
    result = np.zeros((2, NUM_BINS), dtype=np.int64)
    result[WHOLE] = _bins(image[::STRIDE, ::STRIDE, ::STRIDE])
    if labels is not None:
        result[FOREGROUND] = _bins(image[labels != 0])
    return result


def merge_histograms(parts: Sequence[Histograms]) -> Histograms:
    """The histograms of several parts together."""
    return np.asarray(np.sum(parts, axis=0, dtype=np.int64))


def percentile(histogram: npt.NDArray[np.int64], percent: float) -> float:
    """The lowest HU with at least ``percent`` of the counts at or below it; the histogram must not be empty."""
    reached = np.cumsum(histogram)
    return float(FIRST_HU + np.searchsorted(reached, max(1.0, percent / 100 * reached[-1])))


def mean_and_std(histogram: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean and standard deviation in HU; the histogram must not be empty."""
    values = FIRST_HU + np.arange(NUM_BINS)
    total = histogram.sum()
    mean = float((histogram * values).sum() / total)
    return mean, float(np.sqrt((histogram * (values - mean) ** 2).sum() / total))


def _bins(values: npt.NDArray[np.int16]) -> npt.NDArray[np.int64]:
    shifted = np.clip(values.astype(np.int32).ravel() - FIRST_HU, 0, NUM_BINS - 1)
    return np.bincount(shifted, minlength=NUM_BINS)
