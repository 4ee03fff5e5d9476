"""Writes an array in LPS order as a file on its source's grid: whole or not at all, with the names of its labels."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.storage.export.metaimage import write_metaimage
from osteon.storage.export.nifti import write_nifti
from osteon.storage.export.nrrd import write_nrrd
from osteon.storage.provenance import Provenance

Writer = Callable[[BinaryIO, Array, Grid, LabelTable | None, bool], None]

_WRITERS: dict[str, tuple[Writer, bool]] = {
    ".nii.gz": (write_nifti, True),
    ".nii": (write_nifti, False),
    ".mha": (write_metaimage, True),
    ".nrrd": (write_nrrd, True),
}
SUFFIXES = tuple(_WRITERS)
_DTYPES = ("uint8", "int16", "uint16", "int32", "float32")


def write_scan(
    path: Path, array_lps: Array, grid_lps: Grid, provenance: Provenance | None, *, table: LabelTable | None
) -> None:
    """Write a volume, or labels if a ``table`` names them, in the format of the path's suffix.

    The array (z, y, x, LPS) goes back to the source's axis order and affine, which the file gives within 1e-4 mm (NIfTI
    stores 32-bit floats; what was read from one is given back bit for bit). Without ``provenance`` it is written on
    ``grid_lps``. NRRD files carry label names as segments, others in ``<path>.labels.json`` beside them.

    Raises:
        BadInput: ``output-format``, ``output-dtype``, ``output-shape``.
    """
    writer, compress = _writer_of(path)
    if array_lps.dtype.name not in _DTYPES:
        raise BadInput("output-dtype", f"voxels of type {array_lps.dtype} cannot be written", where=str(path))
    if array_lps.shape != grid_lps.shape:
        what = f"an array of shape {array_lps.shape} does not fill the grid {grid_lps.shape}"
        raise BadInput("output-shape", what, where=str(path))
    array, grid = array_lps, grid_lps
    if provenance is not None:
        array, grid = provenance.reorientation.invert(array_lps), provenance.source_grid
        if array.shape != grid.shape:
            what = f"the array of shape {array.shape} does not fill the source's grid {grid.shape}"
            raise BadInput("output-shape", what, where=str(path))
    if table is not None and path.suffix != ".nrrd":
        names = json.dumps({str(id_): name for id_, name in table.names.items()}, indent=1).encode()
        write_whole(path.with_name(f"{path.name}.labels.json"), lambda file: _put(file, names))
    write_whole(path, lambda file: writer(file, array, grid, table, compress))


def _writer_of(path: Path) -> tuple[Writer, bool]:
    for suffix, writer in _WRITERS.items():
        if path.name.lower().endswith(suffix):
            return writer
    remedy = f"end it in one of {', '.join(SUFFIXES)}"
    raise BadInput("output-format", f"no format is known by the suffix of {path.name!r}", remedy=remedy)


def write_whole(path: Path, write: Callable[[BinaryIO], None]) -> None:
    """Write to a file of another name first, so that ``path`` is never there in part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with draft.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _put(file: BinaryIO, data: bytes) -> None:
    file.write(data)
