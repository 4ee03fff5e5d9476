"""A scan cut into ranges of planes that are labelled apart: where it is cut, and the parts kept until all are there."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt

from osteon.core.volume import Labels, Volume, Zones
from osteon.inference.schedule import Schedule
from osteon.inference.view import ModelView
from osteon.inference.windows import WindowGrid
from osteon.recipes.recipe import Recipe
from osteon.storage.stores import Store

MIN_WINDOWS = 4  # a range of fewer would spend more on the windows it shares with its neighbours than on its own

Range = tuple[int, int]  # first plane, and one past the last
Work = npt.NDArray[np.float64]
"""Windows to compute up to each plane: one more than there are planes, from 0 to all of them."""


def work_by_plane(recipe: Recipe, image: Volume, zones: Zones | None, levels: Sequence[Volume] = ()) -> Work:
    """The windows that a model has to compute, as they add up along z; nothing is computed.

    Each window counts for the planes that it serves, so that dark planes, whose windows are skipped, count for nothing.

    Args:
        recipe: of the model.
        image: HU, level 0.
        zones: its zone map; without it no window is skipped.
        levels: its stored pyramid, level 0 first, if there is one.
    """
    view, spec = ModelView.of(image, levels, recipe.grid, recipe.intensity), recipe.inference
    windows = WindowGrid(view.grid.shape, spec.window_shape, spec.overlap)
    rows = Schedule.of(windows, (0, view.grid.shape[0]), view, zones, spec.bone_floor_hu).rows
    depth, ratio = image.grid.shape[0], view.grid.spacing_mm[0] / image.grid.spacing_mm[0]
    faces = [0.0, *(first * ratio for first, _ in windows.served(0)[1:]), float(depth)]
    sums = np.cumsum([0, *(len(row.windows) for row in rows)])
    work: Work = np.interp(np.arange(depth + 1.0), faces, sums)
    return work


def fewest_planes(recipe: Recipe, spacing_mm: float) -> int:
    """Planes of the shortest range worth while, in a scan whose planes are ``spacing_mm`` apart."""
    own = spacing_mm if recipe.grid.spacing_mm is None else recipe.grid.spacing_mm[0]
    return max(1, math.ceil(MIN_WINDOWS * recipe.inference.window_shape[0] * own / spacing_mm))


def cut(work: Work, count: int, fewest: int) -> tuple[Range, ...]:
    """At most ``count`` ranges of ``fewest`` planes or more, as near to equal work as that allows; in order, no gaps.

    Args:
        work: as `work_by_plane`.
        count: of ranges wanted, at least 1.
        fewest: planes of a range; a scan of fewer is one range.
    """
    depth, edges = len(work) - 1, [0]
    for share in range(1, count):
        edge = int(np.searchsorted(work, work[-1] * share / count))
        edge = max(edge, edges[-1] + fewest)
        if edge + fewest > depth:
            break
        edges.append(edge)
    return tuple(itertools.pairwise([*edges, depth]))


@dataclass(frozen=True)
class Parts:
    """Labels of ranges, kept until the scan's are whole. Each appears at once or not at all.

    Attributes:
        store: a folder of their own.
    """

    store: Store

    def has(self, number: int) -> bool:
        """Whether the labels of this range are there."""
        return self.store.exists(_key(number))

    def keep(self, number: int, labels: Labels) -> None:
        """Keep the labels of a range."""
        buffer = io.BytesIO()
        np.savez_compressed(buffer, labels=labels)
        self.store.write_bytes(_key(number), buffer.getvalue())

    def joined(self, count: int) -> Labels:
        """The labels of all ranges, one behind the other; not mended yet.

        Raises:
            FileNotFoundError: one is not there.
        """
        return cast(Labels, np.concatenate([self._read(number) for number in range(count)]))

    def missing(self, count: int) -> list[int]:
        """Ranges whose labels are not there, found by one listing."""
        there = set(self.store.list_children())
        return [number for number in range(count) if _key(number) not in there]

    def _read(self, number: int) -> Labels:
        with np.load(io.BytesIO(self.store.read_bytes(_key(number)))) as file:
            return cast(Labels, file["labels"])


def _key(number: int) -> str:
    return f"part-{number}.npz"
