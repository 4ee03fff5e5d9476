"""The coarser levels of a row: averaged HU and majority labels. Pure functions of one row's level-0 slab."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Index3
from osteon.core.volume import Array

Scalar = TypeVar("Scalar", bound=np.generic)
LAST_INT32_LEVEL = 5  # sums over 2^15 voxels of int16 still fit; one level more does not


def image_levels(slab: npt.NDArray[np.int16], levels: int) -> Iterator[npt.NDArray[np.int16]]:
    """Levels 0, 1, … of a slab (z, y, x) that starts at a multiple of 2^(levels-1).

    Level n is rint(mean of 2^n blocks of level 0), far edges repeated to whole blocks; sums are exact integers, so
    the numbers are those of pooling level 0 in one go.
    """
    yield slab
    if levels == 1:
        return
    sums: npt.NDArray[np.signedinteger[Any]] = _whole_blocks(slab, 2 ** (levels - 1))
    for level in range(1, levels):
        sums = _sum_blocks(sums, np.int32 if level <= LAST_INT32_LEVEL else np.int64)
        z, y, x = _ceil_shape(slab.shape, 2**level)
        yield np.rint(sums[:z, :y, :x] / 8.0**level).astype(np.int16)


def label_levels(slab: Array, levels: int) -> Iterator[Array]:
    """Levels 0, 1, … of a label slab: each the majority of 2x2x2 voxels of the one before, far edges repeated.

    Ties go to the smallest id that is not the background: thin bone survives.
    """
    yield slab
    for _ in range(1, levels):
        slab = _majority(_whole_blocks(slab, 2))
        yield slab


def _whole_blocks(array: npt.NDArray[Scalar], side: int) -> npt.NDArray[Scalar]:
    padding = [(0, -n % side) for n in array.shape]
    return np.pad(array, padding, mode="edge") if any(after for _, after in padding) else array


def _ceil_shape(shape: tuple[int, ...], side: int) -> Index3:
    z, y, x = (-(-n // side) for n in shape)
    return z, y, x


def _sum_blocks(
    array: npt.NDArray[np.signedinteger[Any]], dtype: type[np.signedinteger[Any]]
) -> npt.NDArray[np.signedinteger[Any]]:
    planes: npt.NDArray[np.signedinteger[Any]] = np.add(array[0::2], array[1::2], dtype=dtype)
    lines = planes[:, 0::2] + planes[:, 1::2]
    return np.asarray(lines[:, :, 0::2] + lines[:, :, 1::2])


def _majority(labels: Array) -> Array:
    """The majority of each 2x2x2 block; only blocks that are not of one label are counted."""
    corners = [labels[z::2, y::2, x::2] for z in (0, 1) for y in (0, 1) for x in (0, 1)]
    result = corners[0].copy()
    mixed = np.zeros(result.shape, dtype=bool)
    for corner in corners[1:]:
        mixed |= corner != result
    votes = np.stack([corner[mixed] for corner in corners])
    result[mixed] = _winners(votes)
    return result


def _winners(votes: Array) -> Array:
    """The most frequent value of each column of ``votes`` (8, n); ties to the smallest that is not 0."""
    ids = votes.astype(np.int32)
    counts = np.zeros(ids.shape, dtype=np.int32)
    for row in ids:
        counts += ids == row
    rank = np.where(ids > 0, 65536 - ids, 0)  # among equals: small ids first, the background last
    best = np.argmax((counts << 17) + rank, axis=0)
    return np.asarray(np.take_along_axis(votes, best[None], axis=0)[0])
