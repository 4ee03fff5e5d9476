"""Tables of two axes of a sweep against each other, such as patch against loss (Li et al. 2022, tables 2 and 3)."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from osteon.evaluation.averages import MeanSd
from osteon.evaluation.sweep_values import ConfigurationRow, Crossing, CrossingCell


def cross(axes: Sequence[str], rows: Sequence[ConfigurationRow]) -> tuple[Crossing, ...]:
    """A table of every two axes with several values; none of axes whose values meet in half of the cells or fewer.

    Those are drawn from an interval: every configuration would be a row and a column of its own.
    """
    values = {axis: tuple(dict.fromkeys(row.values[axis] for row in rows)) for axis in axes}
    several = [axis for axis in axes if len(values[axis]) > 1]
    pairs = [(down, across) for down, across in itertools.combinations(several, 2) if _meet(down, across, rows)]
    return tuple(
        Crossing(
            down=down,
            across=across,
            row_values=values[down],
            column_values=values[across],
            cells=tuple(
                tuple(
                    _cell([row for row in rows if _is_at(row, {down: one, across: other})]) for other in values[across]
                )
                for one in values[down]
            ),
        )
        for down, across in pairs
    )


def _meet(down: str, across: str, rows: Sequence[ConfigurationRow]) -> bool:
    met = {(row.values[down], row.values[across]) for row in rows}
    room = len({one for one, _ in met}) * len({other for _, other in met})
    return 2 * len(met) > room and any(row.rank for row in rows)


def _is_at(row: ConfigurationRow, place: dict[str, str]) -> bool:
    return row.rank is not None and all(row.values[axis] == value for axis, value in place.items())


def _cell(rows: Sequence[ConfigurationRow]) -> CrossingCell | None:
    if not rows:
        return None
    folds = [fold for row in rows for fold in row.folds]
    return CrossingCell(
        configurations=len(rows),
        dice=MeanSd.of([fold.dice for fold in folds if fold.dice is not None]),
        mean_iou=MeanSd.of([fold.mean_iou for fold in folds if fold.mean_iou is not None]),
        mean_accuracy=MeanSd.of([fold.mean_accuracy for fold in folds if fold.mean_accuracy is not None]),
    )
