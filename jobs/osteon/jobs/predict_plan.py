"""Into which pieces the work on an archive is cut, and in which order they are given out. Pure numbers, no store.

The archive is done when its last worker is: what counts is the tail, when some workers are out of work and others are
not. Pieces are given out longest first (Graham 1969, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math.
17), which leaves short scans for the end; that is enough unless a scan is long beside all that a worker has to do. Only
such scans are cut into ranges of planes, for cutting costs windows (docs/decisions/007-own-pool.md). So at most
1 / `SHARE` scans per worker are ever looked into before the work begins, however large the archive.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from osteon.core.geometry import Grid
from osteon.inference.windows import WindowGrid
from osteon.recipes.ranges import Range
from osteon.recipes.recipe import Recipe

SHARE = 0.5  # of all that a worker has to do: longer scans are split


@dataclass(frozen=True)
class Candidate:
    """A case to be segmented.

    Attributes:
        case_id: the case.
        grid: its grid; shape and spacing are right, what the catalog knows.
        source_digest: of the scan.
        identity: what tells this prediction of it from another; kept as the digest of its labels' source.
        windows: to compute, if none is skipped.
    """

    case_id: str
    grid: Grid
    source_digest: str
    identity: str
    windows: float


@dataclass(frozen=True)
class Unit:
    """What a worker is given at a time.

    Attributes:
        case: the case.
        ranges: of planes, into which it is cut; none for a case that is segmented as a whole.
        number: the range to label; None if the case is whole, or if its parts are to be put together alone.
        windows: to compute, at most.
    """

    case: Candidate
    windows: float
    ranges: tuple[Range, ...] = ()
    number: int | None = None


def count_windows(recipe: Recipe, grid: Grid) -> float:
    """Windows over a scan of this grid, if none is skipped."""
    shape, spec = recipe.grid.grid_of(grid).shape, recipe.inference
    return float(math.prod(map(len, WindowGrid(shape, spec.window_shape, spec.overlap).starts)))


def longest_unit(cases: Iterable[Candidate], workers: int) -> float:
    """Windows of the longest piece: longer scans are to be split. One worker has no tail, and so no limit."""
    return math.inf if workers == 1 else SHARE * sum(case.windows for case in cases) / workers


def in_order(units: Sequence[Unit]) -> list[Unit]:
    """The pieces in the order in which they are given out: longest first."""
    return sorted(units, key=lambda unit: (-unit.windows, unit.case.case_id, unit.number or 0))
