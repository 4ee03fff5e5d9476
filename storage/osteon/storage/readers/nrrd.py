"""NRRD headers (.nrrd, .nhdr, .seg.nrrd): ``field: value`` and ``key:=value`` lines, read by hand within bounds.

Fields: https://teem.sourceforge.net/nrrd/format.html; segments: 3D Slicer's ``Segment0_Name`` keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from osteon.core.errors import BadScan
from osteon.storage.readers.raster import Geometry, Raster, check_geometry, check_shape
from osteon.storage.readers.text_header import beside, numbers

_MAX_HEADER = 1 << 22  # 4 MiB: hundreds of segments with their terminology
_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: dtype for dtype, names in _TYPES.items() for name in names}
_SPACES = {
    "left-posterior-superior": (1.0, 1.0, 1.0), "lps": (1.0, 1.0, 1.0),
    "right-anterior-superior": (-1.0, -1.0, 1.0), "ras": (-1.0, -1.0, 1.0),
    "left-anterior-superior": (1.0, -1.0, 1.0), "las": (1.0, -1.0, 1.0),
}  # fmt: skip
_LAYER_KINDS = {"list", "vector", "none", "point"}


def read_nrrd(path: Path) -> Raster:
    """The header of a NRRD file; ``keys`` holds its key:=value pairs.

    Raises:
        BadScan: ``unreadable-header``, ``dimensions``, ``voxel-type``, ``encoding``, ``no-orientation``,
            ``singular-affine``, ``data-file``.
    """
    fields, keys, end = _parse(path)
    sizes = tuple(int(value) for value in numbers(fields, "sizes"))
    layers, sizes, directions = _split_layers(fields, sizes)
    check_shape(sizes)
    if layers < 1:
        raise BadScan("dimensions", f"{layers} values per voxel")
    sign = _SPACES.get(fields.get("space", "").lower())
    if sign is None or directions is None:
        what = (
            f"space {fields.get('space', 'not given')!r}, or no space directions: left and right cannot be told apart"
        )
        raise BadScan("no-orientation", what, remedy="save the scan with its orientation, from 3D Slicer for example")
    origin = np.asarray(numbers(fields, "space origin", 3, default="(0,0,0)"))
    geometry = Geometry.of_columns(sizes, np.transpose(directions) * np.reshape(sign, (3, 1)), origin * sign)
    check_geometry(geometry)
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise BadScan("encoding", f"encoding {encoding!r} is not read", remedy="save the file as raw or gzip")
    detached = fields.get("data file", fields.get("datafile"))
    return Raster(
        path=str(path if detached is None else beside(path, detached)),
        geometry=geometry,
        dtype=_dtype(fields),
        offset=(end if detached is None else 0) + _skipped(fields, encoding),
        encoding="raw" if encoding == "raw" else "deflate",
        layers=layers,
        keys=tuple(keys.items()),
    )


def _parse(path: Path) -> tuple[dict[str, str], dict[str, str], int]:
    """Fields, keys, and where the voxels begin: after the first empty line."""
    with path.open("rb") as file:
        head = file.read(_MAX_HEADER)
    stop, gap = _header_end(head)
    lines = head[:stop].decode("utf-8", "replace").splitlines()
    if not lines or not lines[0].startswith("NRRD000"):
        raise BadScan("unreadable-header", "no NRRD header", remedy="save the file again")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for line in lines[1:]:
        if line.startswith("#"):
            continue
        name, is_key, value = line.partition(":=")
        if is_key:
            keys[name.strip()] = value.strip()
            continue
        name, _, value = line.partition(":")
        fields[name.strip().lower()] = value.strip()
    if not gap and not {"data file", "datafile"} & fields.keys():
        raise BadScan("unreadable-header", "the header does not end in an empty line", remedy="save the file again")
    return fields, keys, stop + gap


def _header_end(head: bytes) -> tuple[int, int]:
    ends = [(at, len(mark)) for mark in (b"\n\n", b"\r\n\r\n") if (at := head.find(mark)) >= 0]
    return min(ends, default=(len(head), 0))  # a detached header may end with the file


def _split_layers(
    fields: dict[str, str], sizes: tuple[int, ...]
) -> tuple[int, tuple[int, ...], list[tuple[float, ...]] | None]:
    """Values per voxel, the three sizes, and the three direction vectors (None if they are not all given)."""
    vectors = fields.get("space directions", "").replace(") (", ")(").replace("none", "(none)").split(")")
    texts = [text.replace("(", "").strip() for text in vectors if text.strip()]
    kinds = fields.get("kinds", "").lower().split()
    layers = 1
    if len(sizes) == 4 and ((kinds[:1] and kinds[0] in _LAYER_KINDS) or texts[:1] == ["none"]):
        layers, sizes, texts = sizes[0], sizes[1:], texts[1:]
    elif len(sizes) == 4 and sizes[3] == 1:
        sizes, texts = sizes[:3], texts[:3]
    if len(texts) != 3 or "none" in texts:
        return layers, sizes, None
    return layers, sizes, [numbers({"space directions": text}, "space directions", 3) for text in texts]


def _dtype(fields: dict[str, str]) -> str:
    dtype = _DTYPES.get(fields.get("type", "").lower())
    if dtype is None:
        what = f"voxels of type {fields.get('type', '')[:40]!r}, which is no plain number"
        raise BadScan("voxel-type", what, remedy="save the scan as int16")
    endian = fields.get("endian", "little").lower()
    if endian not in ("little", "big"):
        raise BadScan("unreadable-header", f"endian {endian[:40]!r}", remedy="save the file again")
    return ("<" if endian == "little" else ">") + dtype


def _skipped(fields: dict[str, str], encoding: str) -> int:
    """Bytes to skip before the voxels; lines, and skips of inflated bytes, are written by nobody and not read."""
    lines = fields.get("line skip", fields.get("lineskip", "0"))
    skip = fields.get("byte skip", fields.get("byteskip", "0"))
    if lines != "0" or not skip.isdecimal() or (encoding != "raw" and skip != "0") or len(skip) > 9:
        raise BadScan("encoding", f"line skip {lines[:20]}, byte skip {skip[:20]}", remedy="save the file in one piece")
    return int(skip)


def segment_names(keys: Mapping[str, str]) -> dict[tuple[int, int], tuple[str, str]]:
    """ID and name of a .seg.nrrd's segments by (layer, label value)."""
    names: dict[tuple[int, int], tuple[str, str]] = {}
    number = 0
    while (name := keys.get(f"Segment{number}_Name")) is not None:
        layer, value = (keys.get(f"Segment{number}_{part}", "") for part in ("Layer", "LabelValue"))
        if value.isdecimal() and len(value) < 10:
            place = (int(layer) if layer.isdecimal() and len(layer) < 5 else 0, int(value))
            names[place] = (keys.get(f"Segment{number}_ID", ""), name)
        number += 1
    return names
