"""The flesh that nobody labelled: how far out the body goes round its structures, and where its hollow is.

Found on cells of about 6 mm, which is as smooth as skin has to be.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.data.phantom.shapes import Field

CELL_MM = 6.0
CLOSING_MM = 40.0  # gaps that soft-tissue labels leave
CLOSING_OF_BONES_MM = 110.0  # the belly between ribs and pelvis, where nothing but bone is labelled
BEYOND_MM = 60.0  # how far outside the flesh distances are known: the thickest fat and some air

_Mask = npt.NDArray[np.bool_]

# How far muscle reaches round a bone, in mm (chosen; a thigh is 70 to 80 mm in radius, an arm 45).
_FLESH_MM = {"femur": 48.0, "tibia": 34.0, "humerus": 30.0, "radius": 22.0, "ulna": 22.0, "hip": 14.0, "scapula": 10.0}
_USUAL_FLESH_MM = 7.0

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
        cell: voxels of the anatomy per cell and axis.
        margin: cells before the anatomy's first one, along z, y, x.
    """

    flesh: Field
    hollow: Field
    cell: int
    margin: int

    @classmethod
    def round(cls, structure: Array, table: LabelTable, bones: frozenset[str], voxel_mm: float) -> Hull:
        """The flesh round an anatomy's structures."""
        cell = max(1, round(CELL_MM / voxel_mm))
        cell_mm = cell * voxel_mm
        organs = [label.id for label in table.labels if label.name not in bones]
        closing = CLOSING_MM if np.isin(structure, organs).any() else CLOSING_OF_BONES_MM
        margin = math.ceil((closing + BEYOND_MM) / cell_mm)
        near = np.full([n + 2 * margin for n in _cells(structure.shape, cell)], np.float32(1e4))
        for reach, ids in _by_flesh(table).items():
            _draw_near(near, _pooled(np.isin(structure, ids), cell, margin), cell_mm, reach)
        flesh = _signed(_closed(near, closing, cell_mm), cell_mm)
        viscera = [label.id for label in table.labels if label.name.startswith(_IN_THE_HOLLOW)]
        held = _pooled(np.isin(structure, viscera), cell, margin)
        hollow = _outside(held, cell_mm) if held.any() else flesh + np.float32(35.0)
        return cls(flesh, hollow, cell, margin)

    def at(self, z: Field, y: Field, x: Field) -> tuple[Field, Field]:
        """Flesh and hollow distance at fractional indices of the anatomy, linear between the cells' centres."""
        places = [
            (axis + np.float32(0.5)) / np.float32(self.cell) + np.float32(self.margin - 0.5) for axis in (z, y, x)
        ]
        return _between(self.flesh, places), _between(self.hollow, places)


def _by_flesh(table: LabelTable) -> dict[float, list[int]]:
    """Ids by how far their flesh reaches."""
    groups: dict[float, list[int]] = {}
    for label in table.labels:
        reach = next((mm for stem, mm in _FLESH_MM.items() if label.name.startswith(stem)), _USUAL_FLESH_MM)
        groups.setdefault(reach, []).append(label.id)
    return groups


def _cells(shape: tuple[int, ...], cell: int) -> list[int]:
    return [-(-n // cell) for n in shape]


def _pooled(mask: _Mask, cell: int, margin: int) -> _Mask:
    """Cells that hold any of the mask; the first and last slices are repeated, for the body goes on there."""
    whole = np.pad(mask, [(0, -n % cell) for n in mask.shape])
    z, y, x = _cells(mask.shape, cell)
    cells = np.any(whole.reshape(z, cell, y, cell, x, cell), axis=(1, 3, 5))
    sides = np.pad(cells, [(0, 0), (margin, margin), (margin, margin)])
    return np.pad(sides, [(margin, margin), (0, 0), (0, 0)], mode="edge")


def _outside(mask: _Mask, cell_mm: float) -> Field:
    """Millimetres from each cell to the nearest of the mask."""
    distance: Field = (ndimage.distance_transform_edt(~mask) * cell_mm).astype(np.float32)
    return distance


def _draw_near(near: Field, mask: _Mask, cell_mm: float, reach: float) -> None:
    """Note the distance to flesh that reaches so far round a mask."""
    if mask.any():
        np.minimum(near, _outside(mask, cell_mm) - np.float32(reach), out=near)


def _closed(near: Field, closing_mm: float, cell_mm: float) -> _Mask:
    """The flesh with its gaps filled: a morphological closing by a ball."""
    grown = near <= closing_mm
    shrunk: _Mask = ndimage.distance_transform_edt(grown) * cell_mm > closing_mm
    return shrunk | (near <= 0)


def _signed(mask: _Mask, cell_mm: float) -> Field:
    """Millimetres to a mask's surface, negative inside."""
    half = np.float32(0.5 * cell_mm)
    return np.where(mask, half - _outside(~mask, cell_mm), _outside(mask, cell_mm) - half)


def _between(cells: Field, places: list[Field]) -> Field:
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
