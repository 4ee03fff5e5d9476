"""The voxels of a volume as bytes, plane by plane, compressed or not."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from osteon.core.volume import Array

LEVEL = 4  # of zlib: labels shrink as well as at 9, scans by 3 % less, in a third of the time


def planes_of(array: Array) -> Iterator[bytes]:
    """The planes of a (z, y, x) array as little-endian bytes, x fastest."""
    for plane in array:
        yield np.ascontiguousarray(plane, plane.dtype.newbyteorder("<")).tobytes()


def write_gzip(file: BinaryIO, array: Array, header: bytes = b"") -> None:
    """The header and the voxels as one gzip member without name and time."""
    with gzip.GzipFile("", "wb", LEVEL, file, mtime=0) as packed:
        packed.write(header)
        for plane in planes_of(array):
            packed.write(plane)


def write_zlib(file: BinaryIO, array: Array) -> int:
    """The voxels as a zlib stream; its length in bytes."""
    start = file.tell()
    stream = zlib.compressobj(LEVEL)
    for plane in planes_of(array):
        file.write(stream.compress(plane))
    file.write(stream.flush())
    return file.tell() - start
