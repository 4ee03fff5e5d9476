"""What is done to a finished label volume: bones are counted, strays rejoin, islands go, holes are filled.

Knows no network. Pieces hang together by faces, edges and corners, holes by faces only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

import cc3d
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat
from scipy.ndimage import binary_dilation, find_objects

from osteon.core.geometry import Vector3
from osteon.core.labels import LabelTable
from osteon.core.volume import Labels
from osteon.inference.count_ribs import count_ribs
from osteon.inference.count_vertebrae import count_vertebrae

TOUCHING: Final = 26  # neighbours of a voxel of bone: voxels that touch at a corner are one piece
FACING: Final = 6  # neighbours of a voxel of a hole: what is closed to corners is a hole


class PostprocessSpec(BaseModel):
    """What is mended in a label volume."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: bool = Field(
        default=False,
        description="Whether vertebrae are numbered one by one from the sacrum up, and ribs by their vertebrae.",
    )
    rejoin: bool = Field(
        default=False,
        description="Whether a piece of a bone that is apart from the largest takes the name of the bone it touches.",
    )
    min_island_mm3: float = Field(
        default=0.0, ge=0, description="Islands of a bone that are smaller than this become background; 0 keeps all."
    )
    largest_only: bool = Field(
        default=False, description="Whether of every bone only the largest piece is kept; right for whole bones only."
    )
    fill_holes_mm3: NonNegativeFloat | Literal["all"] = Field(
        default=0.0, description="Holes inside a bone up to this size become bone; 0 fills none, all fills every one."
    )


def postprocess(labels: Labels, spec: PostprocessSpec, spacing_mm: Vector3, table: LabelTable) -> Labels:
    """Do in place what the spec says: first the count, then strays, islands, all but the largest piece, and last holes.

    Args:
        labels: label ids z, y, x, z from the feet up; 0 is background.
        spec: what is mended.
        spacing_mm: voxel size z, y, x.
        table: the bones that there can be.
    """
    if spec.count:
        count_vertebrae(labels, table, spacing_mm)
        count_ribs(labels, table, spacing_mm)
    if spec.rejoin:
        rejoin_strays(labels)
    remove_islands(labels, spec, spacing_mm)
    if spec.largest_only:
        keep_largest(labels)
    if spec.fill_holes_mm3:
        limit = np.inf if spec.fill_holes_mm3 == "all" else spec.fill_holes_mm3
        fill_holes(labels, limit, spacing_mm)
    return labels


@dataclass(frozen=True)
class _Stray:
    """A piece of a bone that is apart from its largest.

    Attributes:
        id_: the bone.
        box: the piece's box in the volume and one voxel round it, as far as the volume goes.
        inside: the piece there.
    """

    id_: int
    box: tuple[slice, ...]
    inside: npt.NDArray[np.bool_]


def rejoin_strays(labels: Labels) -> Labels:
    """Give every piece that is apart from the largest of its bone to the bone whose largest it touches most, in place.

    A piece that touches none keeps its name. For networks that call a part of a bone by the name of another: a patch on
    the right femur that is named left hip is right femur.

    Args:
        labels: label ids or class numbers z, y, x; 0 is background.
    """
    strays = list(_strays(labels))
    for stray in strays:
        labels[stray.box][stray.inside] = 0
    names = [_neighbour(labels, stray) or stray.id_ for stray in strays]  # of all before the first is written
    for stray, name in zip(strays, names, strict=True):
        labels[stray.box][stray.inside] = name
    return labels


def _strays(labels: Labels) -> Iterator[_Stray]:
    for id_, box in enumerate(find_objects(labels), start=1):
        if box is None:
            continue
        box = tuple(slice(max(0, along.start - 1), along.stop + 1) for along in box)
        pieces, largest = _pieces(labels[box] == id_)
        for number, part in enumerate(find_objects(pieces), start=1):
            if number == largest or part is None:
                continue
            inner = tuple(slice(max(0, along.start - 1), along.stop + 1) for along in part)
            inside = pieces[inner] == number
            starts = [along.start + within.start for along, within in zip(box, inner, strict=True)]
            where = tuple(slice(start, start + size) for start, size in zip(starts, inside.shape, strict=True))
            yield _Stray(id_, where, inside)


def _neighbour(labels: Labels, stray: _Stray) -> int:
    """The bone that most voxels round the piece are of; 0 if there is none."""
    around = binary_dilation(stray.inside, np.ones((3, 3, 3))) & ~stray.inside
    votes = np.bincount(labels[stray.box][around], minlength=1)
    votes[0] = 0
    return int(votes.argmax())


def _pieces(bone: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.integer], int]:
    """The numbered pieces of a bone, from 1, and the number of its largest; of equal ones the first."""
    pieces = cc3d.connected_components(bone, connectivity=TOUCHING)
    return pieces, 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))


def remove_islands(labels: Labels, spec: PostprocessSpec, spacing_mm: Vector3) -> Labels:
    """Set islands smaller than ``spec.min_island_mm3`` to background, in place; every label on its own.

    Args:
        labels: label ids or class numbers z, y, x; 0 is background.
        spec: the smallest island to keep.
        spacing_mm: voxel size z, y, x.
    """
    threshold = int(np.ceil(spec.min_island_mm3 / float(np.prod(spacing_mm))))
    if threshold > 1:
        cc3d.dust(labels, threshold=threshold, connectivity=TOUCHING, in_place=True)
    return labels


def keep_largest(labels: Labels) -> Labels:
    """Set all but the largest piece of every label to background, in place; of equal ones the first is kept.

    For bones that a scan shows whole, as in Saillard et al. 2023 and Deng et al. 2022; ribs and
    fractured bones come in several pieces.
    """
    for block, id_ in _bones(labels):
        pieces, largest = _pieces(block == id_)
        block[(pieces != 0) & (pieces != largest)] = 0
    return labels


def fill_holes(labels: Labels, limit_mm3: float, spacing_mm: Vector3) -> Labels:
    """Give background that a label encloses on all sides to that label, in place.

    What else lies in a hole keeps its label but counts for the hole's size. A cavity that is open at the end of the
    scan is none.

    Args:
        labels: label ids or class numbers z, y, x; 0 is background.
        limit_mm3: the largest hole to fill.
        spacing_mm: voxel size z, y, x.
    """
    voxel_mm3 = float(np.prod(spacing_mm))
    for block, id_ in _bones(labels):
        others = np.pad(block != id_, 1, constant_values=True)
        regions = cc3d.connected_components(others, connectivity=FACING)
        is_hole = np.bincount(regions.ravel()) * voxel_mm3 <= limit_mm3
        is_hole[[0, regions[0, 0, 0]]] = False  # the bone itself, and the outside
        block[is_hole[regions[1:-1, 1:-1, 1:-1]] & (block == 0)] = id_
    return labels


def _bones(labels: Labels) -> Iterator[tuple[Labels, int]]:
    """The bounding box of every label, a view, and its id."""
    for id_, box in enumerate(find_objects(labels), start=1):
        if box is not None:
            yield labels[box], id_
