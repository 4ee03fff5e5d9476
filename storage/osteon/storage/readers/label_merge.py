"""Writes a label source as one volume of Osteon's ids, in the source's axis order and in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osteon.core.labels import BACKGROUND
from osteon.storage.readers.label_values import Lookup, lay_over, lookup_of, translate, whole_numbers
from osteon.storage.readers.planes import RawVolume
from osteon.storage.readers.raster import Raster, stored_pieces

Ids = Mapping[tuple[int, int], int]  # by (layer or file, stored value)


@dataclass(frozen=True)
class Merged:
    """What was written.

    Attributes:
        ids: the ids that occur, ascending, without background.
        overlaps: voxels that lay in several structures.
    """

    ids: tuple[int, ...]
    overlaps: int


def translate_map(raster: Raster, ids: Ids, target: RawVolume) -> Merged:
    """Write a labelmap; its layers are laid over each other, the smallest id on top.

    Raises:
        BadScan: ``label-values``, ``unknown-label-id``, and what reading the voxels refuses.
    """
    lookups = [_lookup(ids, layer) for layer in range(raster.layers)]
    present: set[int] = set()
    overlaps = 0
    with Path(target.path).open("wb") as file:
        for piece in stored_pieces(raster):
            layers = piece.reshape(-1, raster.layers)
            merged: npt.NDArray[np.generic] = translate(layers[:, 0], lookups[0])
            for layer in range(1, raster.layers):
                merged, both = lay_over(merged, translate(layers[:, layer], lookups[layer]))
                overlaps += both
            present.update(np.flatnonzero(np.bincount(merged)).tolist())
            file.write(merged.astype(target.dtype).tobytes())
    return Merged(tuple(sorted(present - {BACKGROUND})), overlaps)


def merge_masks(rasters: Sequence[Raster], ids: Ids, target: RawVolume) -> Merged:
    """Write one-structure masks over each other, the smallest id on top; any number but 0 marks a structure.

    Masks of structures that become background are not read at all.

    Raises:
        BadScan: ``label-values``, and what reading the voxels refuses.
    """
    merged = np.memmap(target.path, target.dtype, "w+", shape=(int(np.prod(target.shape)),))
    overlaps = 0
    for number, raster in enumerate(rasters):
        id_ = next((id_ for (part, _), id_ in ids.items() if part == number), BACKGROUND)
        if id_ == BACKGROUND:
            continue
        position = 0
        for piece in stored_pieces(raster):
            inside = position + np.flatnonzero(whole_numbers(piece))
            below = merged[inside]
            merged[inside] = np.where(below == BACKGROUND, id_, np.minimum(below, id_))
            overlaps += int(np.count_nonzero(below))
            position += len(piece)
    merged.flush()
    return Merged(_present(merged), overlaps)


def _present(merged: npt.NDArray[np.generic]) -> tuple[int, ...]:
    found: set[int] = set()
    for start in range(0, merged.size, 1 << 24):
        found.update(np.flatnonzero(np.bincount(merged[start : start + (1 << 24)])).tolist())
    return tuple(sorted(found - {BACKGROUND}))


def _lookup(ids: Ids, layer: int) -> Lookup:
    return lookup_of({value: id_ for (part, value), id_ in ids.items() if part == layer})
