"""The zone map of a row: what each chunk of level 0 can hold. Pure functions; merged along z at commit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Index3
from osteon.core.volume import Array, Zones
from osteon.storage.layout import CHUNK_DEPTH, IMAGE_CHUNK_SIDE

ZONE_SHAPE: Index3 = (CHUNK_DEPTH, IMAGE_CHUNK_SIDE, IMAGE_CHUNK_SIDE)


@dataclass(frozen=True)
class ZoneRow:
    """The zones of one row, and how many voxels each label has in it.

    Attributes:
        zones: chunk minima, maxima and class masks of the row's chunks.
        counts: voxels by label id, without the background.
    """

    zones: Zones
    counts: dict[int, int]


def map_zones(image: npt.NDArray[np.int16], labels: Array | None, largest_id: int) -> ZoneRow:
    """The zones of a row's level-0 slab (z, y, x); ``largest_id`` fixes the width of the class masks."""
    hu_min = _reduce(np.minimum, image)
    hu_max = _reduce(np.maximum, image)
    if labels is None:
        return ZoneRow(Zones(ZONE_SHAPE, hu_min, hu_max, np.zeros((*hu_min.shape, 0), np.uint8)), {})
    present = np.zeros((*hu_min.shape, 8 * (largest_id // 8 + 1)), dtype=bool)
    totals = np.zeros(present.shape[-1], dtype=np.int64)
    for index, block in _blocks(labels):
        counts = np.bincount(block.ravel(), minlength=totals.size)
        present[index] = counts > 0
        totals += counts
    classes = np.packbits(present, axis=-1, bitorder="little")
    counted = {int(label): int(totals[label]) for label in np.flatnonzero(totals) if label}
    return ZoneRow(Zones(ZONE_SHAPE, hu_min, hu_max, classes), counted)


def merge_zones(rows: Sequence[ZoneRow]) -> tuple[Zones, dict[int, int]]:
    """The zone map and the label counts of a whole case, rows in order."""
    counts: dict[int, int] = {}
    for row in rows:
        for label, count in row.counts.items():
            counts[label] = counts.get(label, 0) + count
    parts = [row.zones for row in rows]
    zones = Zones(
        ZONE_SHAPE,
        np.concatenate([part.hu_min for part in parts]),
        np.concatenate([part.hu_max for part in parts]),
        np.concatenate([part.classes for part in parts]),
    )
    return zones, {label: counts[label] for label in sorted(counts)}


def _reduce(function: np.ufunc, image: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The least or greatest HU of each chunk: planes first, which numpy reduces at memory speed (reduceat does not)."""
    for axis, size in enumerate(ZONE_SHAPE):
        starts = range(0, image.shape[axis], size)
        parts = [function.reduce(image[(slice(None),) * axis + (slice(i, i + size),)], axis=axis) for i in starts]
        image = np.stack(parts, axis=axis)
    return image


def _blocks(array: Array) -> Iterator[tuple[Index3, Array]]:
    depth, height, width = ZONE_SHAPE
    z, y, x = (-(-n // size) for n, size in zip(array.shape, ZONE_SHAPE, strict=True))
    for i, j, k in np.ndindex(z, y, x):
        yield (
            (i, j, k),
            array[
                i * depth : (i + 1) * depth,
                j * height : (j + 1) * height,
                k * width : (k + 1) * width,
            ],
        )
