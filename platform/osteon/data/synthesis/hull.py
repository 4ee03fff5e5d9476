"""The flesh that nobody labelled: how far out the body goes round its structures, and where its hollows are.

Found on cells of about 6 mm, which is as smooth as skin has to be.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError

from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.data.phantom.shapes import Field

CELL_MM = 6.0
CLOSING_MM = 40.0  # gaps that soft-tissue labels leave
CHEST_WALL_MM = 12.0
BEYOND_MM = 60.0  # how far outside the flesh distances are known: the thickest fat and some air

_FAR_MM = 1e4
_ON_A_FACE = 0.25  # cells: away from every whole number, so that rounding decides nothing
_Mask = npt.NDArray[np.bool_]

# How far muscle reaches round a bone, in mm (chosen; a thigh is 70 to 80 mm in radius, an arm 45).
_FLESH_MM = {"femur": 48.0, "tibia": 34.0, "humerus": 30.0, "radius": 22.0, "ulna": 22.0, "hip": 14.0, "scapula": 10.0}
_USUAL_FLESH_MM = 7.0

_TRUNK = ("rib", "sternum", "vertebrae_T", "vertebrae_L", "sacrum", "hip")
_CHEST = ("rib", "sternum", "vertebrae_T")
_IN_THE_HOLLOW = (
    "colon", "small_bowel", "duodenum", "stomach", "liver", "spleen", "pancreas", "kidney", "adrenal_gland",
    "gallbladder", "urinary_bladder", "lung", "heart", "aorta", "inferior_vena_cava",
)  # fmt: skip


@dataclass(frozen=True)
class Hull:
    """Distances on a coarse grid of cells round an anatomy.

    Attributes:
        flesh: millimetres to the surface of the flesh (under the fat), negative inside.
        hollow: millimetres to the nearest organ of belly or chest; without organs, to where the flesh is 35 mm deep.
        chest: millimetres to the inner side of the ribs, negative inside; None if the lungs are labelled.
        is_bare: whether nothing but bones is labelled.
        cell: voxels of the anatomy per cell and axis.
        margin: cells before the anatomy's first one, along z, y, x.
    """

    flesh: Field
    hollow: Field
    chest: Field | None
    is_bare: bool
    cell: int
    margin: int

    @classmethod
    def round(cls, structure: Array, table: LabelTable, bones: frozenset[str], voxel_mm: float) -> Hull:
        """The flesh round an anatomy's structures."""
        cell = max(1, round(CELL_MM / voxel_mm))
        organs = [label.id for label in table.labels if label.name not in bones]
        is_bare = not np.isin(structure, organs).any()
        margin = math.ceil((CLOSING_MM + BEYOND_MM) / (cell * voxel_mm))
        cells = _Cells(structure, table, cell, margin, cell * voxel_mm)
        closed = cells.closed(cells.flesh(), CLOSING_MM)
        flesh = cells.signed(closed | _convex(cells.of(_TRUNK)) if is_bare else closed)
        has_organs = cells.of(_IN_THE_HOLLOW).any()
        hollow = cells.outside(_IN_THE_HOLLOW) if has_organs else flesh + np.float32(35.0)
        return cls(flesh, hollow, cells.chest(), is_bare, cell, margin)

    def places(self, z: Field, y: Field, x: Field) -> tuple[Field, Field, Field]:
        """Fractional indices of cells at fractional indices of the anatomy."""
        half = np.float32(0.5)
        first, second, third = (
            (axis + half) / np.float32(self.cell) + (np.float32(self.margin) - half) for axis in (z, y, x)
        )
        return first, second, third


@dataclass(frozen=True)
class _Cells:
    """Masks and distances on the coarse grid.

    Attributes:
        structure: the anatomy's ids.
        table: their names.
        cell: voxels per cell and axis.
        margin: cells round the anatomy.
        mm: edge of a cell.
    """

    structure: Array
    table: LabelTable
    cell: int
    margin: int
    mm: float

    def of(self, stems: tuple[str, ...]) -> _Mask:
        """Cells that hold any structure whose name begins so."""
        return self._pooled([label.id for label in self.table.labels if label.name.startswith(stems)])

    def outside(self, stems: tuple[str, ...]) -> Field:
        """Millimetres to the nearest cell of `of`; far if there is none."""
        return _outside(self.of(stems), self.mm)

    def flesh(self) -> Field:
        """Millimetres to the flesh that every structure has round it, negative inside."""
        parts = [_outside(self._pooled(ids), self.mm) - np.float32(mm) for mm, ids in _by_flesh(self.table).items()]
        nearest: Field = np.min(parts, axis=0)
        return nearest

    def closed(self, distance: Field, closing_mm: float) -> _Mask:
        """What lies within a distance of 0, its gaps filled: a morphological closing by a ball."""
        grown = distance <= closing_mm
        shrunk: _Mask = _outside(~grown, self.mm) > closing_mm
        return shrunk | (distance <= 0)

    def signed(self, mask: _Mask) -> Field:
        """Millimetres to a mask's surface, negative inside."""
        half = np.float32(0.5 * self.mm)
        return np.where(mask, half - _outside(~mask, self.mm), _outside(mask, self.mm) - half)

    def chest(self) -> Field | None:
        """Millimetres to the inner side of the ribs, if there are ribs and no lungs."""
        if self.of(("lung",)).any() or not self.of(("rib",)).any():
            return None
        return self.signed(_convex(self.of(_CHEST))) + np.float32(CHEST_WALL_MM)

    def _pooled(self, ids: list[int]) -> _Mask:
        """Cells that hold any of these; the first and last slices are repeated, for the body goes on there."""
        mask = np.isin(self.structure, ids)
        whole = np.pad(mask, [(0, -n % self.cell) for n in mask.shape])
        z, y, x = (n // self.cell for n in whole.shape)
        cells = np.any(whole.reshape(z, self.cell, y, self.cell, x, self.cell), axis=(1, 3, 5))
        side = (self.margin, self.margin)
        return np.pad(np.pad(cells, [(0, 0), side, side]), [side, (0, 0), (0, 0)], mode="edge")


def _by_flesh(table: LabelTable) -> dict[float, list[int]]:
    """Ids by how far their flesh reaches."""
    groups: dict[float, list[int]] = {}
    for label in table.labels:
        reach = next((mm for stem, mm in _FLESH_MM.items() if label.name.startswith(stem)), _USUAL_FLESH_MM)
        groups.setdefault(reach, []).append(label.id)
    return groups


def _convex(mask: _Mask) -> _Mask:
    """The cells of a mask's convex hull; the mask itself if it has no volume."""
    points = np.argwhere(mask)
    try:
        faces = np.unique(ConvexHull(points).equations.round(9), axis=0)
    except (QhullError, ValueError):
        return mask
    first, last = points.min(axis=0), points.max(axis=0)
    z, y, x = np.ogrid[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))]
    inside: _Mask = np.ones(tuple(last - first + 1), dtype=np.bool_)
    for a, b, c, offset in faces:
        inside &= (a * z + b * y) + (c * x + offset) <= _ON_A_FACE
    hull = mask.copy()
    hull[tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))] |= inside
    return hull


def _outside(mask: _Mask, mm: float) -> Field:
    """Millimetres from each cell to the nearest of the mask; far if there is none."""
    if not mask.any():
        return np.full(mask.shape, np.float32(_FAR_MM))
    distance: Field = (ndimage.distance_transform_edt(~mask) * mm).astype(np.float32)
    return distance


def between(cells: Field, places: tuple[Field, Field, Field]) -> Field:
    """Linear interpolation at scattered fractional indices, held beyond the ends."""
    lows, shares = [], []
    for place, size in zip(places, cells.shape, strict=True):
        inside = np.clip(place, np.float32(0.0), np.float32(size - 1.001))
        lows.append(inside.astype(np.int64))
        shares.append(inside - lows[-1].astype(np.float32))
    total: Field = np.zeros(shares[0].shape, dtype=np.float32)
    for corner in itertools.product((0, 1), repeat=3):
        part = cells[tuple(low + step for low, step in zip(lows, corner, strict=True))]
        for share, step in zip(shares, corner, strict=True):
            part = part * (share if step else np.float32(1.0) - share)
        total += part
    return total
