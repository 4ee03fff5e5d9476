"""MetaImage headers (.mha, .mhd): lines of ``key = value``, read by hand within bounds.

Keys: https://itk.org/Wiki/ITK/MetaIO/Documentation. Coordinates are LPS, as ITK takes them.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from osteon.core.errors import BadScan
from osteon.storage.readers.raster import Geometry, Raster, check_geometry, check_shape
from osteon.storage.readers.text_header import beside, numbers

_MAX_HEADER = 1 << 16
_TYPES = {
    "MET_CHAR": "i1", "MET_UCHAR": "u1", "MET_SHORT": "i2", "MET_USHORT": "u2", "MET_INT": "i4", "MET_UINT": "u4",
    "MET_LONG": "i4", "MET_ULONG": "u4", "MET_LONG_LONG": "i8", "MET_ULONG_LONG": "u8", "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}  # fmt: skip
_SYNONYMS = {
    "Position": "Offset", "Origin": "Offset", "Rotation": "TransformMatrix", "Orientation": "TransformMatrix",
    "ElementByteOrderMSB": "BinaryDataByteOrderMSB",
}  # fmt: skip


def read_metaimage(path: Path) -> Raster:
    """The header of a MetaImage file.

    Raises:
        BadScan: ``unreadable-header``, ``dimensions``, ``voxel-type``, ``spacing``, ``singular-affine``, ``data-file``.
    """
    keys, end = _parse(path)
    shape = tuple(int(value) for value in numbers(keys, "DimSize"))
    if len(shape) == 4 and shape[3] == 1:
        keys = {key: _first_three(key, value) for key, value in keys.items()}
        shape = shape[:3]
    check_shape(shape)
    channels = keys.get("ElementNumberOfChannels", "1")
    if keys.get("ElementType") not in _TYPES or channels != "1":
        what = f"voxels of type {keys.get('ElementType')} with {channels} channels"
        raise BadScan("voxel-type", what, remedy="save the scan as 16-bit integers (MET_SHORT)")
    if keys.get("BinaryData", "True") != "True":
        raise BadScan("encoding", "voxels are written as text", remedy="save the scan again in binary form")
    spacing = numbers(keys, "ElementSpacing" if "ElementSpacing" in keys else "ElementSize", 3)
    if min(spacing) <= 0:
        raise BadScan("spacing", f"ElementSpacing {spacing}", remedy="mend the header's voxel size")
    directions = np.reshape(numbers(keys, "TransformMatrix", 9, default="1 0 0 0 1 0 0 0 1"), (3, 3)).T
    geometry = Geometry.of_columns(shape, directions * spacing, numbers(keys, "Offset", 3, default="0 0 0"))
    check_geometry(geometry)
    is_local = keys["ElementDataFile"].upper() == "LOCAL"
    return Raster(
        path=str(path if is_local else beside(path, keys["ElementDataFile"])),
        geometry=geometry,
        dtype=(">" if keys.get("BinaryDataByteOrderMSB", "False") == "True" else "<") + _TYPES[keys["ElementType"]],
        offset=end if is_local else _header_size(keys),
        encoding="deflate" if keys.get("CompressedData", "False") == "True" else "raw",
    )


def _parse(path: Path) -> tuple[dict[str, str], int]:
    """The keys, and where the line after ElementDataFile, the last of them, begins."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    keys: dict[str, str] = {}
    position = 0
    while position < len(head) and "ElementDataFile" not in keys:
        stop = head.find(b"\n", position)
        stop = len(head) if stop < 0 else stop
        key, separator, value = head[position:stop].decode("latin-1").partition("=")
        if not separator:
            break
        keys[_SYNONYMS.get(key.strip(), key.strip())] = value.strip()
        position = stop + 1
    if "ElementDataFile" not in keys:
        raise BadScan("unreadable-header", "no MetaImage header with ElementDataFile", remedy="save the scan again")
    return keys, position


def _first_three(key: str, value: str) -> str:
    """A four-dimensional key cut down to the three axes of its only frame."""
    parts = value.split()
    if key == "TransformMatrix" and len(parts) == 16:
        return " ".join(parts[4 * row + column] for row in range(3) for column in range(3))
    return " ".join(parts[:3]) if key in {"Offset", "ElementSpacing", "ElementSize"} else value


def _header_size(keys: dict[str, str]) -> int:
    size = numbers(keys, "HeaderSize", 1, default="0")[0]
    if not (size.is_integer() and 0 <= size < math.inf):
        raise BadScan("unreadable-header", f"HeaderSize {size:g} is not read", remedy="save the scan as .mha")
    return int(size)
