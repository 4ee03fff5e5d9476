"""The page of a sweep: its summary for people, one file without script. Curves and ranges are drawn as inline SVG."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from osteon.evaluation.averages import Interval
from osteon.evaluation.learning_curves import Band, LearningCurve
from osteon.evaluation.page import render
from osteon.evaluation.sweep_values import SweepReport

MAX_NAMED = 12  # failed trials that the box at the top names
Scale = Callable[[float], float]


@dataclass(frozen=True)
class Area:
    """Where a curve is drawn in the picture's own units, y downwards."""

    left: float = 42
    right: float = 252
    top: float = 8
    bottom: float = 92


@dataclass(frozen=True)
class Plot:
    """One curve of a panel.

    Attributes:
        line: path of the medians.
        band: path around the range of the folds.
        lowest: value at the bottom of the plot.
        highest: value at its top.
    """

    line: str
    band: str
    lowest: float
    highest: float


@dataclass(frozen=True)
class Panel:
    """The curves of one configuration.

    Attributes:
        configuration: its id.
        dice: None if it was never validated.
        loss: None if it never logged a loss.
        last: the last validation Dice, over the folds.
    """

    configuration: str
    dice: Plot | None
    loss: Plot | None
    last: Band | None


def render_sweep(report: SweepReport) -> str:
    """The whole page."""
    last_step = max((band.step for curve in report.curves for band in (*curve.dice, *curve.loss)), default=1)
    panels = [_panel(curve, last_step) for curve in report.curves if curve.dice or curve.loss]
    return render(
        "sweep.html.j2",
        report=report,
        best=report.best,
        panels=panels,
        last_step=last_step,
        area=Area(),
        ranges=_ranges(report),
        fold_best=_fold_best(report),
        max_named=MAX_NAMED,
    )


def _panel(curve: LearningCurve, last_step: int) -> Panel:
    losses = [value for band in curve.loss for value in (band.low, band.high)]
    return Panel(
        configuration=curve.configuration,
        dice=_plot(curve.dice, last_step, 0.0, 1.0) if curve.dice else None,
        loss=_plot(curve.loss, last_step, min(losses), max(losses)) if losses else None,
        last=curve.dice[-1] if curve.dice else None,
    )


def _plot(bands: Sequence[Band], last_step: int, lowest: float, highest: float) -> Plot:
    area = Area()
    across = _scale(0, last_step, area.left, area.right)
    up = _scale(lowest, highest, area.bottom, area.top)
    upper = [(across(band.step), up(band.high)) for band in bands]
    lower = [(across(band.step), up(band.low)) for band in bands]
    return Plot(
        line=_path((across(band.step), up(band.median)) for band in bands),
        band=_path([*upper, *reversed(lower)]) + "Z",
        lowest=lowest,
        highest=highest,
    )


def _scale(low: float, high: float, start: float, end: float) -> Scale:
    """From values to places; all at the start where there is but one value."""
    return lambda value: start + (end - start) * ((value - low) / (high - low) if high > low else 0.0)


def _path(points: Iterable[tuple[float, float]]) -> str:
    places = [f"{x:.1f} {y:.1f}" for x, y in points]
    return "M" + "L".join(places if len(places) > 1 else places * 2)  # a point is a line to itself, with round ends


def _ranges(report: SweepReport) -> dict[str, tuple[float, float, float]]:
    """Low end, mean and high end of the Dice of each ranked configuration, in per cent of what all of them span."""
    intervals = {row.configuration: row.interval for row in report.configurations if row.rank and row.interval}
    low = min((each.low for each in intervals.values()), default=0.0)
    high = max((each.high for each in intervals.values()), default=1.0)
    return {name: _places(each, _scale(low, high, 2, 98)) for name, each in intervals.items()}


def _fold_best(report: SweepReport) -> dict[int, float]:
    folds = [fold for row in report.configurations for fold in row.folds if fold.dice is not None]
    return {
        number: max((fold.dice or 0.0 for fold in folds if fold.fold == number), default=0.0) for number in report.folds
    }


def _places(interval: Interval, scale: Scale) -> tuple[float, float, float]:
    return (scale(interval.low), scale(interval.mean), scale(interval.high))
