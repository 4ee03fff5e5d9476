"""The voxels of a derived case, slab by slab, and predictions on it put back onto its scan.

HU stay int16 Hounsfield units, cut to the window: what a network sees is the recipe's `intensity`, here as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from osteon.core.chain import Chain
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3
from osteon.core.labels import BACKGROUND, BONES
from osteon.core.volume import Array, Volume
from osteon.data.prepare.plan import Preparation
from osteon.data.prepare.sample import Reader, level_for_hu, level_for_labels, sample
from osteon.data.prepare.spec import HU_RANGE, PrepareSpec

AIR_HU = -1000
SLAB = 64  # planes that are restored at once


def prepare_hu(
    levels: Sequence[Volume], preparation: Preparation, spec: PrepareSpec, planes: tuple[int, int]
) -> npt.NDArray[np.int16]:
    """Planes (start, stop) of a derived case in HU, int16, z, y, x; air around the scan.

    They are interpolated, once, in the pyramid level that training would read for this spacing.
    """
    volume = level_for_hu(levels, preparation.grid.spacing_mm)
    block = _slab(volume, levels[0].grid, preparation, planes, linear=True, outside=AIR_HU)
    lowest, highest = spec.window_hu or HU_RANGE
    return np.rint(np.clip(block, lowest, highest)).astype(np.int16)


def prepare_labels(levels: Sequence[Volume], preparation: Preparation, planes: tuple[int, int]) -> Array:
    """The label ids of the same planes, z, y, x: the nearest of the pyramid level, whose voxels are majorities."""
    volume = level_for_labels(levels, preparation.grid.spacing_mm)
    ids = _slab(volume, levels[0].grid, preparation, planes, linear=False, outside=BACKGROUND)
    if preparation.kept is not None:
        kept = np.full(int(ids.max()) + 1, BACKGROUND)
        for source, derived in preparation.kept.items():
            kept[source : source + 1] = derived
        ids = kept[ids]
    return ids.astype(levels[0].dtype)


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


def _slab(
    volume: Volume, source: Grid, preparation: Preparation, planes: tuple[int, int], *, linear: bool, outside: int
) -> Array:
    start, stop = planes
    return sample(
        lambda first, count: volume.read(first, count).result(),
        volume.grid.shape,
        preparation.chain.index_map(source, volume.grid),
        (start, 0, 0),
        (stop - start, *preparation.grid.shape[1:]),
        linear=linear,
        outside=outside,
    )


def _reader(array: Array) -> Reader:
    return lambda start, shape: array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]


def _sides_swapped(labels: Array) -> Array:
    swapped = np.arange(max(int(labels.max()), BONES.labels[-1].id) + 1)
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
