"""Where a case's voxels lie inside its zarr group: levels, rows, shards, chunks, and the zarr metadata of each array.

A *row* is a slab of 64 slices of level 0. Level n's shards are 64 >> n slices deep, so that one row owns whole shards
of every level: rows are written independently, in one pass, with one PUT per shard. Pure numbers, no input or output.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from osteon.core.geometry import Index3

ROW_DEPTH = 64  # slices of level 0 in a row; also how far 2^level may grow before a row no longer holds whole blocks
SHARD_SIDE = 512  # in-plane voxels of a shard
CHUNK_DEPTH = 32  # slices of an inner chunk; chunks and codecs are chosen in docs/decisions/001-codec-and-chunks.md
IMAGE_CHUNK_SIDE = 32  # in-plane voxels of an inner chunk of HU
LABELS_CHUNK_SIDE = 64  # of labels, which are cheaper to decode than to look up
SMALLEST_SIDE = 64  # no further level once the in-plane sides are no longer than this
MAX_LEVELS = 7  # 64 >> 6 is one slice
LOST_HU = -32768  # fill value of images: what foreign readers show where a shard is lost; never written, never air
IMAGE_DTYPE = np.dtype(np.int16)
LABELS_GROUP = "labels/bones"
AXES = ("z", "y", "x")

Json = dict[str, object]


@dataclass(frozen=True)
class ArrayLayout:
    """One array of a case.

    Attributes:
        path: below the case's group, for example ``0`` or ``labels/bones/2``.
        shape: elements along each axis.
        dtype: element type.
        shard_shape: elements of one stored object; None for a small array that is one object of one chunk.
        chunk_shape: elements that are compressed and checked together.
        fill_value: what readers that allow it take missing chunks for.
        dimension_names: one per axis.
        shuffle: how blosc rearranges bytes before lz4: ``bitshuffle`` for numbers, ``noshuffle`` for runs of ids.
    """

    path: str
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]
    shard_shape: tuple[int, ...] | None
    chunk_shape: tuple[int, ...]
    fill_value: int
    dimension_names: tuple[str, ...]
    shuffle: Literal["bitshuffle", "noshuffle"] = "bitshuffle"

    def metadata(self) -> Json:
        """The array's ``zarr.json``, shards and codecs included."""
        codecs = self._codecs()
        if self.shard_shape is not None:
            codecs = [_sharding(self.chunk_shape, codecs)]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype.name,
            "chunk_grid": {
                "name": "regular",
                "configuration": {"chunk_shape": list(self.shard_shape or self.chunk_shape)},
            },
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": self.fill_value,
            "codecs": codecs,
            "dimension_names": list(self.dimension_names),
            "attributes": {},
        }

    def _codecs(self) -> list[Json]:
        """Little-endian bytes, lz4, then a CRC32C over what is stored."""
        blosc = {"cname": "lz4", "clevel": 5, "shuffle": self.shuffle, "typesize": self.dtype.itemsize, "blocksize": 0}
        return [_bytes(self.dtype.itemsize), {"name": "blosc", "configuration": blosc}, {"name": "crc32c"}]


def num_levels(shape: Index3) -> int:
    """Pyramid levels of a scan: halved until both in-plane sides are at most 64, level 0 included, at most 7."""
    level = 0
    while max(level_shape(shape, level)[1:]) > SMALLEST_SIDE and level < MAX_LEVELS - 1:
        level += 1
    return level + 1


def level_shape(shape: Index3, level: int) -> Index3:
    """The shape of a level; incomplete blocks at the far edges count."""
    z, y, x = (-(-n // 2**level) for n in shape)
    return z, y, x


def num_rows(shape: Index3) -> int:
    """How many rows a scan has."""
    return -(-shape[0] // ROW_DEPTH)


def row_range(shape: Index3, row: int) -> tuple[int, int]:
    """First slice and one past the last slice of a row, at level 0."""
    return row * ROW_DEPTH, min((row + 1) * ROW_DEPTH, shape[0])


def image_layout(shape: Index3, level: int) -> ArrayLayout:
    """The HU array of a level; ``shape`` is level 0's."""
    here, shard, chunk = _volume_shapes(shape, level, IMAGE_CHUNK_SIDE)
    return ArrayLayout(str(level), here, IMAGE_DTYPE, shard, chunk, LOST_HU, AXES)


def labels_layout(shape: Index3, level: int, dtype: np.dtype[np.generic]) -> ArrayLayout:
    """The label array of a level; ``shape`` is level 0's."""
    here, shard, chunk = _volume_shapes(shape, level, LABELS_CHUNK_SIDE)
    return ArrayLayout(f"{LABELS_GROUP}/{level}", here, dtype, shard, chunk, 0, AXES, "noshuffle")


def table_layout(path: str, shape: tuple[int, ...], dtype: np.dtype[np.generic], names: tuple[str, ...]) -> ArrayLayout:
    """A small array that is stored as one object."""
    return ArrayLayout(path, shape, dtype, None, tuple(max(1, n) for n in shape), 0, names)


def _volume_shapes(shape: Index3, level: int, chunk_side: int) -> tuple[Index3, Index3, Index3]:
    """Shapes of a level, of its shards and of its chunks."""
    depth = ROW_DEPTH >> level
    here = level_shape(shape, level)
    height, width = (min(SHARD_SIDE, -(-n // chunk_side) * chunk_side) for n in here[1:])
    return here, (depth, height, width), (min(CHUNK_DEPTH, depth), chunk_side, chunk_side)


def _bytes(itemsize: int) -> Json:
    return {"name": "bytes", "configuration": {"endian": "little"}} if itemsize > 1 else {"name": "bytes"}


def _sharding(chunk_shape: tuple[int, ...], codecs: list[Json]) -> Json:
    return {
        "name": "sharding_indexed",
        "configuration": {
            "chunk_shape": list(chunk_shape),
            "codecs": codecs,
            "index_codecs": [_bytes(8), {"name": "crc32c"}],
            "index_location": "end",
        },
    }
