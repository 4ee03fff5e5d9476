"""Label files as arrays of Osteon's ids on a scan's grid: labelmaps, layered .seg.nrrd files, one-structure masks.

A label source is passed through once, in pieces: every value is checked and translated, and the ids are written to a
file in scratch space. Where structures overlap (layers, masks), the smallest id wins, whatever the order of files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan, OsteonError
from osteon.core.geometry import Grid, Reorientation
from osteon.core.labels import BACKGROUND, LabelTable, canonical_name
from osteon.storage.readers.digest import combine, digest_file
from osteon.storage.readers.label_merge import merge_masks, translate_map
from osteon.storage.readers.nearest import NearestVolume
from osteon.storage.readers.open import read_raster
from osteon.storage.readers.planes import RawVolume, new_spool
from osteon.storage.readers.raster import Geometry, Raster
from osteon.storage.readers.scan import Scan

SAME_GRID_SHARE = 0.1  # of a voxel: how far a label's corners may lie from the scan's


@dataclass(frozen=True)
class LabelName:
    """The name of one value of a label source.

    Attributes:
        part: number of the layer (labelmap) or of the file (masks) it is found in, from 0.
        value: the stored number; masks mark their structure with any number but 0.
        name: the structure's name as its source spells it.
    """

    part: int
    value: int
    name: str


@dataclass(frozen=True)
class LabelSource:
    """Labels on disk that belong to one scan.

    Attributes:
        kind: one ``labelmap`` file, or ``masks``: one file per structure.
        files: the paths.
        names: what the values mean. A name that a dataset's table does not hold is dropped to background.
        name: the file's or folder's name, for messages to people; never stored.
    """

    kind: Literal["labelmap", "masks"]
    files: tuple[str, ...]
    names: tuple[LabelName, ...] = field(repr=False)
    name: str


class Slabs(Protocol):
    """Label ids in LPS order, read some axial slices at a time; picklable."""

    def read_slab(self, z0: int, z1: int) -> npt.NDArray[np.generic]:
        """The axial slices ``z0`` to ``z1``."""
        ...


@dataclass(frozen=True)
class LabelScan:
    """Labels on a scan's grid; picklable, holds no voxels.

    Attributes:
        grid: the scan's grid, LPS order.
        digest: SHA-256 over the label files and the names of their values.
        ids: Osteon's ids that occur, ascending.
        corrections: what was dropped, merged or resampled, in words.
        slabs: where the ids are read from.
    """

    grid: Grid
    digest: str
    ids: tuple[int, ...]
    corrections: tuple[str, ...]
    slabs: Slabs

    def read_slab(self, z0: int, z1: int) -> npt.NDArray[np.generic]:
        """Label ids of the axial slices ``z0`` to ``z1``: (z1 - z0, Y, X), LPS, of the table's dtype."""
        return np.ascontiguousarray(self.slabs.read_slab(z0, z1))

    def read(self) -> npt.NDArray[np.generic]:
        """Label ids of the whole scan: (Z, Y, X), LPS."""
        return self.read_slab(0, self.grid.shape[0])


@dataclass(frozen=True)
class OrientedVolume:
    """A raw volume whose slabs are read in LPS order."""

    volume: RawVolume
    order: Reorientation

    def read_slab(self, z0: int, z1: int) -> npt.NDArray[np.generic]:
        """The axial slices ``z0`` to ``z1``, LPS."""
        axis = self.order.axes[0]
        size = self.volume.shape[axis]
        start, stop = (size - z1, size - z0) if self.order.flips[0] else (z0, z1)
        return self.order.apply(self.volume.stored(axis, start, stop))


def labels_digest(source: LabelSource) -> str:
    """SHA-256 over the label files and the names of their values; what the `LabelScan` will carry."""
    names = json.dumps(sorted((name.part, name.value, name.name) for name in source.names))
    named = hashlib.sha256(names.encode()).digest() if source.kind == "labelmap" else b""
    return combine([*(digest_file(Path(file)) for file in source.files), named])


def read_labels(
    source: LabelSource, grid_of: Scan, table: LabelTable, *, scratch: Path | None = None, resample: bool = False
) -> LabelScan:
    """The labels of a scan with the ids of ``table``; names that the table lacks become background.

    ``resample`` takes labels of another grid at the nearest voxel; those of a scan that was itself resampled are so
    in any case. Decoded copies go to ``scratch``, the scan's own if not given.

    Raises:
        BadScan: ``label-grid``, ``unknown-label-id``, ``label-values``, and what readers refuse.
    """
    try:
        rasters = [_read_header(Path(file)) for file in source.files]
        scratch = scratch or Path(grid_of.scratch)
        return _read_labels(source, rasters, grid_of.grid, table, scratch, resample or grid_of.is_resampled)
    except (BadScan, OSError) as error:
        raise _placed(error, source) from None


def read_labels_alone(source: LabelSource, table: LabelTable, *, scratch: Path) -> LabelScan:
    """Labels without a scan, on their own grid in LPS order; names that the table lacks become background.

    Raises:
        BadScan: as `read_labels`, and ``singular-affine`` or ``sheared-affine``.
    """
    try:
        rasters = [_read_header(Path(file)) for file in source.files]
        own = rasters[0].geometry.grid()
        grid = Reorientation.to_lps(own).apply_grid(own)
        return _read_labels(source, rasters, grid, table, scratch, False)
    except (BadScan, OSError) as error:
        raise _placed(error, source) from None


def _placed(error: BadScan | OSError, source: LabelSource) -> OsteonError:
    """The refusal with the place it is about."""
    if isinstance(error, BadScan):
        return error if error.where else error.at(source.name)
    what = f"the file cannot be read ({error.strerror})"
    return BadScan("unreadable-file", what, where=str(error.filename or source.name))


def _read_labels(
    source: LabelSource, rasters: Sequence[Raster], grid: Grid, table: LabelTable, scratch: Path, resample: bool
) -> LabelScan:
    geometry = rasters[0].geometry
    if not all(geometry.lies_as(raster.geometry, SAME_GRID_SHARE) for raster in rasters):
        raise BadScan("label-grid", "the masks do not lie on one grid", remedy="resample them onto the scan's grid")
    volume = RawVolume(str(new_spool(scratch)), 0, table.dtype.newbyteorder("<").str, geometry.shape)
    slabs, notes = _orient(volume, geometry, grid, resample)
    ids, dropped = _ids_of_names(source, table)
    merged = merge_masks(rasters, ids, volume) if source.kind == "masks" else translate_map(rasters[0], ids, volume)
    if dropped:
        notes += (f"labels-dropped: no bones: {', '.join(dropped)}",)
    if merged.overlaps:
        notes += (f"labels-overlap: {merged.overlaps} voxels lie in several structures; the smallest id was kept",)
    return LabelScan(grid, labels_digest(source), merged.ids, notes, slabs)


def _read_header(path: Path) -> Raster:
    raster = read_raster(path)
    if (raster.slope, raster.intercept) != (1.0, 0.0):
        what = f"labels with slope {raster.slope:g} and intercept {raster.intercept:g}"
        raise BadScan("label-values", what, where=str(path), remedy="save the labels as integers")
    return raster


def _orient(volume: RawVolume, geometry: Geometry, grid: Grid, resample: bool) -> tuple[Slabs, tuple[str, ...]]:
    """The volume's slabs on the scan's grid: by flips and swaps if that is all it takes."""
    own = _grid_of(geometry)
    if own is not None:
        order = Reorientation.to_lps(own)
        if order.apply_grid(own).matches(grid, SAME_GRID_SHARE * min(grid.spacing_mm)):
            return OrientedVolume(volume, order), ()
    if not resample:
        shape = own and Reorientation.to_lps(own).apply_grid(own)
        what = f"the labels lie on another grid ({shape}) than the scan ({grid})"
        raise BadScan("label-grid", what, remedy="resample the labels onto the scan's grid, by nearest neighbour")
    return NearestVolume(volume, geometry.affine, grid), ("labels-resampled: taken at the nearest voxel",)


def _grid_of(geometry: Geometry) -> Grid | None:
    try:
        return geometry.grid()
    except BadScan:
        return None


def _ids_of_names(source: LabelSource, table: LabelTable) -> tuple[dict[tuple[int, int], int], tuple[str, ...]]:
    """Id by (part, value), background for names that the table lacks, and these names."""
    ids: dict[tuple[int, int], int] = {}
    dropped = []
    for entry in source.names:
        name = canonical_name(entry.name)
        ids[entry.part, entry.value] = table.ids.get(name, BACKGROUND)
        if name not in table.ids:
            dropped.append(name)
    return ids, tuple(sorted(set(dropped)))
