"""Voxels of a source in its own axis order, as HU, read some planes at a time: what every reader ends in."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.core.geometry import Index3
from osteon.storage.readers import hounsfield

BLOCK_BYTES = 1 << 25  # read at a time when a whole volume is passed through
MAX_PLANE_VOXELS = 1 << 24  # 4096 x 4096: what is read at a time is a number of planes
MAX_VOLUME_BYTES = 1 << 36  # 64 GiB: no CT scan comes near


class Planes(Protocol):
    """A volume that can be read in parts; picklable."""

    @property
    def shape(self) -> Index3:
        """Voxels along the source's three axes, slowest first."""
        ...

    def read(self, axis: int, start: int, stop: int) -> npt.NDArray[np.int16]:
        """HU of the planes ``start`` to ``stop`` across ``axis``, in source order.

        Raises:
            BadScan: what is found wrong only when voxels are decoded.
        """
        ...


@dataclass(frozen=True)
class RawVolume:
    """Stored numbers that lie in a file as one block, slowest axis first.

    Attributes:
        path: the file.
        offset: first byte of the block.
        dtype: numpy's name of the stored type, with byte order.
        shape: voxels along the three axes.
    """

    path: str
    offset: int
    dtype: str
    shape: Index3

    def stored(self, axis: int, start: int, stop: int) -> npt.NDArray[np.generic]:
        """The stored numbers of the planes ``start`` to ``stop`` across ``axis``, copied out of the file.

        Raises:
            BadScan: ``truncated-pixels`` if the file has become too short.
        """
        if axis != 0:  # planes that lie scattered over the file
            where = [slice(None)] * 3
            where[axis] = slice(start, stop)
            return np.array(self.mapped()[tuple(where)])
        _, rows, columns = self.shape
        count = (stop - start) * rows * columns
        offset = self.offset + start * rows * columns * np.dtype(self.dtype).itemsize
        values = np.fromfile(self.path, self.dtype, count, offset=offset)
        if values.size < count:
            raise BadScan("truncated-pixels", "the file ends before its voxels do", where=self.path)
        return values.reshape(stop - start, rows, columns)

    def mapped(self) -> npt.NDArray[np.generic]:
        """The whole volume as a read-only map of the file, for access here and there.

        Raises:
            BadScan: ``truncated-pixels`` if the file has become too short.
        """
        try:
            return np.memmap(self.path, self.dtype, "r", self.offset, self.shape)
        except ValueError:
            raise BadScan("truncated-pixels", "the file ends before its voxels do", where=self.path) from None

    def blocks(self) -> Iterator[npt.NDArray[np.generic]]:
        """The volume, some planes at a time."""
        plane_bytes = self.shape[1] * self.shape[2] * np.dtype(self.dtype).itemsize
        count = max(1, BLOCK_BYTES // plane_bytes)
        for start in range(0, self.shape[0], count):
            yield self.stored(0, start, min(start + count, self.shape[0]))


@dataclass(frozen=True)
class RawPlanes:
    """`Planes` of a raw volume: HU are stored * slope + intercept."""

    volume: RawVolume
    slope: float = 1.0
    intercept: float = 0.0

    @property
    def shape(self) -> Index3:
        """Voxels along the source's axes."""
        return self.volume.shape

    def read(self, axis: int, start: int, stop: int) -> npt.NDArray[np.int16]:
        """See `Planes`."""
        return hounsfield.to_hu(self.volume.stored(axis, start, stop), self.slope, self.intercept)

    def survey(self) -> hounsfield.Survey:
        """Look at every voxel once, in bounded memory."""
        found = hounsfield.NOTHING
        for block in self.volume.blocks():
            found = found.merge(hounsfield.survey(block, self.slope, self.intercept))
        return found


def check_extent(shape: Sequence[int], num_bytes: int) -> None:
    """Refuse (``declared-size``) a declared volume of which not even some planes fit into memory, or all on a disk."""
    second, largest = sorted(shape)[-2:]
    if second * largest > MAX_PLANE_VOXELS or num_bytes > MAX_VOLUME_BYTES:
        what = f"the header declares {'x'.join(map(str, shape))} voxels in {num_bytes} bytes, which is no CT scan"
        raise BadScan("declared-size", what, remedy="the header is damaged; export the file again")


def new_spool(scratch: Path) -> Path:
    """The path of a new, empty file in the folder ``scratch``, which is made if need be."""
    scratch.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=scratch, suffix=".raw")
    os.close(handle)
    return Path(name)


def spool(planes: Planes, path: Path) -> RawPlanes:
    """Write planes to a raw file, so that they can be read across any axis."""
    count = max(1, BLOCK_BYTES // (2 * planes.shape[1] * planes.shape[2]))
    with path.open("wb") as file:
        for start in range(0, planes.shape[0], count):
            file.write(planes.read(0, start, min(start + count, planes.shape[0])).astype("<i2", copy=False).tobytes())
    return RawPlanes(RawVolume(str(path), 0, "<i2", planes.shape))
