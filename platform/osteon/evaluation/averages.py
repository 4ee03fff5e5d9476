"""Means over cases or folds, how far these lie apart, and how sure that makes the mean."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from osteon.evaluation.scores import Score


class MeanSd(Score):
    """Mean and standard deviation (of a sample) over cases or folds; the latter is None for a single one."""

    mean: float
    sd: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> MeanSd:
        """Of one value or more."""
        return cls(mean=statistics.fmean(values), sd=statistics.stdev(values) if len(values) > 1 else None)


class Interval(Score):
    """A mean over cases with the ends of its 95 % bootstrap interval."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """Of one value per case."""
        low, high = bootstrap_interval(np.array(values), np.mean)
        return cls(mean=statistics.fmean(values), low=low, high=high)


def bootstrap_interval(
    values: npt.NDArray[np.float64], statistic: Callable[..., npt.NDArray[np.float64]]
) -> tuple[float, float]:
    """95 % by the percentile bootstrap, with a fixed seed so that a page can be made again.

    Args:
        values: one of each case, or pair of case and bone.
        statistic: `numpy.mean` or `numpy.median`; it takes an axis.
    """
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(statistic(draws, axis=1), [0.025, 0.975])
    return float(low), float(high)
