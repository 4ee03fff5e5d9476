"""Voxels of one grid taken from another through an affine, block by block: linear for HU, nearest for labels.

Only the block that is needed is read. Grids whose axes are parallel are sampled axis by axis; the others all at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage

from osteon.core.chain import Affine
from osteon.core.geometry import Index3, Vector3
from osteon.core.volume import Array, Volume
from osteon.data.preprocess import PooledVolume, level_for, resample_linear, resample_nearest

Reader = Callable[[Index3, Index3], Array]  # (start, shape) of a block inside the volume to its voxels

PARALLEL = 1e-3  # voxels by which parallel axes may part over the whole block
_DECIMALS = 6  # of a voxel: what rounding errors of the affine are cut to, so that whole voxels stay whole


def level_for_hu(levels: Sequence[Volume], spacing_mm: Vector3) -> Volume:
    """The level of a scan's pyramid (level 0 first) that is read for a spacing; pooled if it is not there."""
    level = level_for(levels[0].grid.spacing_mm, spacing_mm)
    stored = min(level, len(levels) - 1)
    return levels[stored] if stored == level else PooledVolume(levels[stored], level - stored)


def level_for_labels(levels: Sequence[Volume], spacing_mm: Vector3) -> Volume:
    """The level of a label pyramid that is read for a spacing, or the coarsest there is."""
    return levels[min(level_for(levels[0].grid.spacing_mm, spacing_mm), len(levels) - 1)]


def sample(
    read: Reader, size: Index3, index_map: Affine, start: Index3, shape: Index3, *, linear: bool, outside: int
) -> Array:
    """The block of ``shape`` at ``start`` of a grid whose voxels lie at ``index_map`` of theirs in a volume.

    Args:
        read: gives blocks of the volume.
        size: the volume's shape; positions up to half a voxel outside take its outermost voxels along parallel axes.
        index_map: 4x4, from the wanted grid's indices to the volume's.
        start: first wanted voxel.
        shape: wanted voxels.
        linear: trilinear, float32; otherwise nearest, int32.
        outside: the value of what lies outside the volume.
    """
    slopes = index_map[:3, :3]
    if (np.abs(slopes - np.diag(np.diag(slopes))) * np.asarray(shape)).max() < PARALLEL:
        return _along_axes(read, size, index_map, start, shape, linear, outside)
    return _aslant(read, size, index_map, start, shape, linear, outside)


def _along_axes(
    read: Reader, size: Index3, index_map: Affine, start: Index3, shape: Index3, linear: bool, outside: int
) -> Array:
    result = _filled(shape, linear, outside)
    origin = index_map[:3, :3] @ np.asarray(start) + index_map[:3, 3]
    places, kept = [], []
    for axis, count in enumerate(size):
        place = np.round(origin[axis] + index_map[axis, axis] * np.arange(shape[axis]), _DECIMALS)
        inside = np.flatnonzero((place >= -0.5) & (place <= count - 0.5))
        if not len(inside):
            return result
        kept.append(slice(int(inside[0]), int(inside[-1]) + 1))
        places.append(np.clip(place[kept[-1]], 0, count - 1))
    first = _index3([int(np.floor(place.min())) for place in places])
    last = [int(np.ceil(place.max())) for place in places]
    block = read(first, _index3([b - a + 1 for a, b in zip(first, last, strict=True)]))
    z, y, x = (torch.from_numpy(place - low) for place, low in zip(places, first, strict=True))
    voxels = torch.from_numpy(np.ascontiguousarray(block, np.int16 if linear else np.int32))
    result[tuple(kept)] = (resample_linear if linear else resample_nearest)(voxels, (z, y, x)).numpy()
    return result


def _aslant(
    read: Reader, size: Index3, index_map: Affine, start: Index3, shape: Index3, linear: bool, outside: int
) -> Array:
    corners = np.asarray(start) + np.indices((2, 2, 2)).reshape(3, -1).T * (np.asarray(shape) - 1)
    places = corners @ index_map[:3, :3].T + index_map[:3, 3]
    first = np.maximum(np.floor(places.min(axis=0)), 0).astype(int)
    last = np.minimum(np.ceil(places.max(axis=0)), np.asarray(size) - 1).astype(int)
    if (last < first).any():
        return _filled(shape, linear, outside)
    block = read(_index3(first), _index3(last - first + 1))
    return np.asarray(
        ndimage.affine_transform(
            np.ascontiguousarray(block, np.float32 if linear else np.int32),
            index_map[:3, :3],
            offset=index_map[:3, :3] @ np.asarray(start) + index_map[:3, 3] - first,
            output_shape=shape,
            order=1 if linear else 0,
            mode="grid-constant",
            cval=outside,
            prefilter=False,
        )
    )


def _filled(shape: Index3, linear: bool, outside: int) -> Array:
    return np.full(shape, outside, np.float32 if linear else np.int32)


def _index3(values: npt.ArrayLike) -> Index3:
    z, y, x = (int(value) for value in np.asarray(values))
    return z, y, x
