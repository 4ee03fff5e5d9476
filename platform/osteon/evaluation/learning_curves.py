"""The learning curves of a configuration's folds as one: their median and how far they lie apart at every step."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from osteon.evaluation.scores import Score
from osteon.evaluation.trials import TrialResult

MAX_STEPS = 100  # points of a curve that are kept; a page does not show more
Points = Sequence[tuple[int, float]]


class Band(Score):
    """All folds at one step.

    Attributes:
        step: optimiser steps so far.
        low: the smallest value of any fold.
        median: over the folds.
        high: the largest value.
    """

    step: int
    low: float
    median: float
    high: float


class LearningCurve(Score):
    """How a configuration learnt, over the folds that got that far.

    Attributes:
        configuration: its id.
        dice: of validation.
        loss: of training.
    """

    configuration: str
    dice: tuple[Band, ...]
    loss: tuple[Band, ...]


def learning_curve(configuration: str, trials: Sequence[TrialResult]) -> LearningCurve:
    """The curve over all trials of a configuration, unfinished ones included."""
    dice = [_points((point.step, point.dice) for point in trial.curve) for trial in trials]
    loss = [_points((point.step, point.loss) for point in trial.curve) for trial in trials]
    return LearningCurve(configuration=configuration, dice=_bands(dice), loss=_bands(loss))


def _points(logged: Iterable[tuple[int, float | None]]) -> Points:
    """In order of steps, without what diverged; of a step that a resumed run logged again, the later value."""
    return sorted({step: value for step, value in logged if value is not None and math.isfinite(value)}.items())


def _bands(curves: Sequence[Points]) -> tuple[Band, ...]:
    """Folds that were looked at in other steps (runs of so many minutes) are interpolated, never extrapolated."""
    curves = [curve for curve in curves if curve]
    steps = _thinned(sorted({step for curve in curves for step, _ in curve}))
    values = np.array([_interpolated(curve, steps) for curve in curves])
    return tuple(_band(step, column[np.isfinite(column)]) for step, column in zip(steps, values.T, strict=True))


def _interpolated(curve: Points, steps: Sequence[int]) -> npt.NDArray[np.float64]:
    seen, values = [step for step, _ in curve], [value for _, value in curve]
    return np.interp(steps, seen, values, left=np.nan, right=np.nan)


def _thinned(steps: list[int]) -> list[int]:
    if len(steps) <= MAX_STEPS:
        return steps
    return [steps[number] for number in np.linspace(0, len(steps) - 1, MAX_STEPS).round().astype(int)]


def _band(step: int, values: npt.NDArray[np.float64]) -> Band:
    return Band(step=step, low=float(values.min()), median=float(np.median(values)), high=float(values.max()))
