"""Writes NRRD files; labels become segments with names and colours, as 3D Slicer reads them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.storage.export.packing import write_gzip

_TYPES = {"uint8": "uint8", "int16": "int16", "uint16": "uint16", "int32": "int32", "float32": "float"}


def write_nrrd(file: BinaryIO, array: Array, grid: Grid, table: LabelTable | None, _compress: bool) -> None:
    """Write a (z, y, x) array on its grid, compressed; the labels of the table that occur become segments."""
    columns = grid.affine[:3, :3][::-1, ::-1].T
    lines = [
        "NRRD0004",
        f"type: {_TYPES[array.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, grid.shape[::-1]))}",
        f"space directions: {' '.join(map(_vector, columns))}",
        "kinds: domain domain domain",
        "endian: little",
        "encoding: gzip",
        f"space origin: {_vector(grid.origin_mm[::-1])}",
        *(_segments(array, table) if table is not None else ()),
    ]
    file.write("\n".join([*lines, "", ""]).encode())
    write_gzip(file, array)


def _segments(array: Array, table: LabelTable) -> Iterator[str]:
    present = {int(value) for plane in array for value in np.unique(plane)}
    extent = " ".join(f"0 {size - 1}" for size in array.shape[::-1])
    for number, label in enumerate(table.subset(present).labels):
        colour = " ".join(f"{channel / 255:.6f}" for channel in label.rgba[:3])
        yield f"Segment{number}_ID:={label.name}"
        yield f"Segment{number}_Name:={label.name}"
        yield f"Segment{number}_LabelValue:={label.id}"
        yield f"Segment{number}_Layer:=0"
        yield f"Segment{number}_Color:={colour}"
        yield f"Segment{number}_Extent:={extent}"


def _vector(values: object) -> str:
    return f"({','.join(repr(float(value) + 0.0) for value in np.asarray(values))})"
