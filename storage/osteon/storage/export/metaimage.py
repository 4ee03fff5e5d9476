"""Writes MetaImage files (.mha) with every digit of their geometry."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.storage.export.packing import write_zlib

_TYPES = {
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "float32": "MET_FLOAT",
}
_SIZE_DIGITS = 12


def write_metaimage(file: BinaryIO, array: Array, grid: Grid, _table: LabelTable | None, _compress: bool) -> None:
    """Write a (z, y, x) array on its grid, compressed; the format has no place for label names."""
    spacing, origin, direction = grid.to_itk()
    axes = np.reshape(direction, (3, 3)).T.ravel()  # one axis after the other, where ITK has them in columns
    before = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = True\n"
        "CompressedDataSize = "
    )
    after = (
        f"\nTransformMatrix = {_text(axes)}\nOffset = {_text(origin)}\nCenterOfRotation = 0 0 0\n"
        f"ElementSpacing = {_text(spacing)}\nDimSize = {' '.join(map(str, grid.shape[::-1]))}\n"
        f"ElementType = {_TYPES[array.dtype.name]}\nElementDataFile = LOCAL\n"
    )
    file.write(f"{before}{'0' * _SIZE_DIGITS}{after}".encode())
    size = write_zlib(file, array)
    file.seek(len(before))
    file.write(f"{size:0{_SIZE_DIGITS}d}".encode())


def _text(values: object) -> str:
    return " ".join(repr(float(value) + 0.0) for value in np.asarray(values))
