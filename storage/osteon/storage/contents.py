"""The small arrays beside the voxels: zone map, foreground sample, histograms; as arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from osteon.core.volume import Array, Foreground, Zones
from osteon.storage.histogram import Histograms
from osteon.storage.layout import ArrayLayout, table_layout
from osteon.storage.zones import ZONE_SHAPE

HU_MIN, HU_MAX, CLASSES = "zones/hu_min", "zones/hu_max", "zones/classes"
FOREGROUND, HISTOGRAMS = "foreground", "histograms"

_NAMES = {
    HU_MIN: ("z", "y", "x"),
    HU_MAX: ("z", "y", "x"),
    CLASSES: ("z", "y", "x", "byte"),
    FOREGROUND: ("voxel", "label_z_y_x"),
    HISTOGRAMS: ("whole_foreground", "bin"),
}
_LABELLED = (CLASSES, FOREGROUND)


@dataclass(frozen=True)
class Contents:
    """What a case can hold and what its voxels are like.

    Attributes:
        zones: the zone map.
        foreground: label counts and drawn voxels.
        histograms: HU counts (2, bins): a sample of the whole, and every labelled voxel.
    """

    zones: Zones
    foreground: Foreground
    histograms: Histograms

    def arrays(self, has_labels: bool) -> dict[str, Array]:
        """The arrays to store, by path."""
        arrays: dict[str, Array] = {
            HU_MIN: self.zones.hu_min,
            HU_MAX: self.zones.hu_max,
            CLASSES: self.zones.classes,
            FOREGROUND: _foreground_table(self.foreground),
            HISTOGRAMS: self.histograms,
        }
        return {path: array for path, array in arrays.items() if has_labels or path not in _LABELLED}


def contents_layout(path: str, array: Array) -> ArrayLayout:
    """How such an array is stored: one object of one chunk."""
    return table_layout(path, array.shape, array.dtype, _NAMES[path])


def zones_of(hu_min: Array, hu_max: Array, classes: Array | None) -> Zones:
    """The zone map of its stored arrays; ``classes`` is None for a case without labels."""
    masks = np.zeros((*hu_min.shape, 0), np.uint8) if classes is None else classes.astype(np.uint8, copy=False)
    return Zones(ZONE_SHAPE, hu_min.astype(np.int16, copy=False), hu_max.astype(np.int16, copy=False), masks)


def foreground_of(table: Array, counts: Mapping[int, int]) -> Foreground:
    """The sampling table of its stored array (n, 4), label, z, y, x, and the counts of the manifest."""
    rows = table.astype(np.int32, copy=False)
    return Foreground(dict(counts), {label: rows[rows[:, 0] == label, 1:] for label in counts})


def _foreground_table(foreground: Foreground) -> Array:
    parts = [
        np.column_stack([np.full(len(voxels), label, dtype=np.int32), voxels])
        for label, voxels in foreground.coordinates.items()
    ]
    return np.concatenate(parts) if parts else np.zeros((0, 4), dtype=np.int32)
