"""An archive as the pool of `osteon predict` would work through it, in no time: real cuts and order, made-up clocks.

A worker is one core or one GPU that does one thing at a time: what it reads and writes beside the labelling of another
scan is counted as if it did not overlap, so that a perfect share is a bound that nothing beats.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osteon.core.geometry import Grid
from osteon.inference.windows import WindowGrid
from osteon.jobs.predict_plan import Candidate, Unit, count_windows, in_order, longest_unit
from osteon.recipes.ranges import Range, cut, fewest_planes
from osteon.recipes.recipe import Recipe

KINDS = (
    (0.25, 150, 300),
    (0.65, 300, 700),
    (0.10, 1000, 2000),
)  # share of scans, planes of 1 mm: limb, trunk, whole body
PLANE = (512, 512)
SPACING_MM = (1.0, 0.8, 0.8)


@dataclass(frozen=True)
class Costs:
    """What things take, in seconds.

    Attributes:
        window: to read and label one.
        voxel: to open, mend and write a scan, per voxel.
    """

    window: float
    voxel: float


def mixed_archive(recipe: Recipe, count: int) -> list[Candidate]:
    """Scans of mixed length; the same every time."""
    rng = np.random.default_rng(0)
    kinds = rng.choice(len(KINDS), count, p=[share for share, _, _ in KINDS])
    depths = [int(rng.integers(*KINDS[kind][1:])) for kind in kinds]
    grids = [Grid((depth, *PLANE), SPACING_MM) for depth in depths]
    return [Candidate(f"{k:06}", grid, "", "", count_windows(recipe, grid)) for k, grid in enumerate(grids)]


def pieces(recipe: Recipe, cases: Sequence[Candidate], workers: int, *, is_split: bool) -> list[Unit]:
    """What the driver would give out, in order; every plane is as much work as any other."""
    longest = longest_unit(cases, workers) if is_split else math.inf
    return in_order([unit for case in cases for unit in _pieces(recipe, case, longest)])


def _pieces(recipe: Recipe, case: Candidate, longest: float) -> list[Unit]:
    depth = case.grid.shape[0]
    work = np.linspace(0, case.windows, depth + 1)
    ranges = cut(work, max(1, math.ceil(case.windows / longest)), fewest_planes(recipe, case.grid.spacing_mm[0]))
    if len(ranges) == 1:
        return [Unit(case, case.windows)]
    counts = [_windows_of(recipe, case.grid, planes) for planes in ranges]
    return [Unit(case, windows, ranges, number) for number, windows in enumerate(counts)]


def _windows_of(recipe: Recipe, grid: Grid, planes: Range) -> float:
    """Windows that a range computes: those it shares with its neighbours are computed twice."""
    model, spec = recipe.grid.grid_of(grid), recipe.inference
    windows = WindowGrid(model.shape, spec.window_shape, spec.overlap)
    ratio = grid.spacing_mm[0] / model.spacing_mm[0]
    first, stop = math.floor(planes[0] * ratio), min(math.ceil(planes[1] * ratio), model.shape[0])
    return float(len(windows.rows((first, stop))) * len(windows.starts[1]) * len(windows.starts[2]))


def perfect_share(cases: Sequence[Candidate], workers: int, costs: Costs) -> float:
    """Seconds, if the work of whole scans could be shared without a rest."""
    return sum(case.windows * costs.window + case.grid.num_voxels * costs.voxel for case in cases) / workers


def makespan(units: Sequence[Unit], workers: int, costs: Costs) -> float:
    """Seconds until the last worker is done; pieces are handed out as `osteon.jobs.predict_pool.Pool` does."""
    waiting, left = deque(units), Counter(unit.case.case_id for unit in units)
    free_at, held = [0.0] * workers, [0] * workers
    ends: list[tuple[float, int]] = []
    now = 0.0
    while waiting or ends:
        while waiting:
            worker = min(range(workers), key=held.__getitem__)
            if held[worker] >= (1 if len(waiting) <= workers else 2):
                break
            unit = waiting.popleft()
            left[unit.case.case_id] -= 1
            seconds = unit.windows * costs.window
            if not left[unit.case.case_id]:  # whoever is last puts the parts together
                seconds += unit.case.grid.num_voxels * costs.voxel
            free_at[worker] = max(now, free_at[worker]) + seconds
            held[worker] += 1
            heapq.heappush(ends, (free_at[worker], worker))
        now, worker = heapq.heappop(ends)
        held[worker] -= 1
    return now
