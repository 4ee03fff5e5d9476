"""Labels of derived cases put back onto their scan, each bone with the label of its own side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osteon.core.chain import Chain
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3
from osteon.core.labels import BACKGROUND, BONES, LabelTable
from osteon.core.volume import Array
from osteon.data.prepare.sample import Reader, sample

SLAB = 64  # planes that are restored at once


@dataclass(frozen=True)
class Part:
    """Labels of one derived case.

    Attributes:
        labels: ids of ``table``, z, y, x, on the chain's grid.
        table: their names.
        chain: from the scan to the case.
    """

    labels: Array
    table: LabelTable
    chain: Chain


def restore_parts(parts: Sequence[Part], source: Grid) -> tuple[Array, LabelTable]:
    """Labels of several derived cases on the grid of their scan, and their names; where two overlap, the first's.

    Raises:
        BadInput: as `restore_labels`.
    """
    table = LabelTable.of({id_: name for part in parts for id_, name in _own_sides(part).items()})
    result = np.full(source.shape, BACKGROUND, table.dtype)
    for part in parts:
        restored = restore_labels(part.labels, part.chain, source)
        np.copyto(result, restored, where=result == BACKGROUND, casting="unsafe")
    return result, table


def restore_labels(labels: Array, chain: Chain, source: Grid) -> Array:
    """Labels of a derived case on the grid of its scan, of the same type; background where the case does not reach.

    Each voxel of the scan takes the nearest of the case. Where the chain mirrors, bones of one side get the labels of
    the other again, so a left femur that was segmented as a right one comes back as the left.

    Args:
        labels: Osteon's label ids, z, y, x, on the chain's grid.
        chain: from the scan to the case.
        source: the scan's grid.

    Raises:
        BadInput: ``other-grid``: the labels do not fill the chain's grid.
    """
    grid = chain.grid_of(source)
    if labels.shape != grid.shape:
        what = f"labels of shape {labels.shape} do not fill the derived case's {grid.shape}"
        raise BadInput("other-grid", what, remedy="give labels of the case itself, not resampled")
    ids = _sides_swapped(labels) if chain.is_mirrored else labels
    index_map = np.asarray(np.linalg.inv(chain.index_map(source)), np.float64)
    result = np.zeros(source.shape, labels.dtype)
    (top, y, x), (depth, height, width) = _region(chain, source)
    for z in range(top, top + depth, SLAB):
        shape = (min(SLAB, top + depth - z), height, width)
        block = sample(_reader(ids), grid.shape, index_map, (z, y, x), shape, linear=False, outside=BACKGROUND)
        result[z : z + shape[0], y : y + height, x : x + width] = block
    return result


def _own_sides(part: Part) -> dict[int, str]:
    """Name by id of the labels a part may hold once it is restored."""
    if not part.chain.is_mirrored:
        return part.table.names
    twins = BONES.mirrored()
    return {twins.get(id_, id_): BONES.names.get(twins.get(id_, id_), name) for id_, name in part.table.names.items()}


def _reader(array: Array) -> Reader:
    return lambda start, shape: array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]


def _sides_swapped(labels: Array) -> Array:
    swapped = np.arange(max(int(labels.max()), BONES.labels[-1].id) + 1, dtype=labels.dtype)
    for own, other in BONES.mirrored().items():
        swapped[own] = other
    return np.asarray(swapped[labels])


def _region(chain: Chain, source: Grid) -> tuple[Index3, Index3]:
    """Start and shape of the block of the scan that the derived case can reach."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T * np.asarray(chain.grid_of(source).shape) - 0.5
    index_map = chain.index_map(source)
    places = corners @ index_map[:3, :3].T + index_map[:3, 3]
    first = np.clip(np.floor(places.min(axis=0)), 0, source.shape).astype(int)
    stop = np.clip(np.ceil(places.max(axis=0)) + 1, first, source.shape).astype(int)
    (z, y, x), (depth, height, width) = first.tolist(), (stop - first).tolist()
    return (z, y, x), (depth, height, width)
