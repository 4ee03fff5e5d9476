"""Volumes that are one header and one block of numbers (NIfTI, MetaImage, NRRD): what their headers come down to.

A header is believed only after its declared size was checked against the bytes there are. Compressed blocks are
inflated once, piece by piece, to a file that is then mapped: memory stays bounded whatever the scan's size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.core.geometry import Grid, Index3
from osteon.storage.readers.inflate import check_ratio, inflate
from osteon.storage.readers.planes import RawVolume, check_extent, new_spool

_PIECE_NUMBERS = 1 << 22  # handed on at a time: users of a piece widen each number to several of 8 bytes

Matrix4 = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a file lie, as its header says.

    Attributes:
        shape: voxels along the file's axes, slowest first.
        affine: 4x4, from index (slowest axis first, 1) to patient z, y, x (LPS) in mm; axes may be oblique.
    """

    shape: Index3
    affine: Matrix4

    @classmethod
    def of_columns(cls, shape_xyz: tuple[int, ...], axes_xyz: npt.ArrayLike, origin_xyz: npt.ArrayLike) -> Geometry:
        """From the fastest axis first: a 3x3 matrix whose column k is the step (x, y, z LPS) along axis k."""
        affine = np.eye(4)
        affine[:3, :3] = np.asarray(axes_xyz, np.float64)[::-1, ::-1]
        affine[:3, 3] = np.asarray(origin_xyz, np.float64)[::-1]
        x, y, z = shape_xyz
        return cls((z, y, x), tuple(tuple(float(value) for value in row) for row in affine))

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The affine as an array."""
        return np.asarray(self.affine)

    def lies_as(self, other: Geometry, share: float = 0.1) -> bool:
        """Whether every voxel lies within ``share`` of a voxel of the other's, index for index."""
        steps = np.linalg.norm(self.matrix[:3, :3], axis=0)
        reach = np.abs(self.matrix - other.matrix) @ [*self.shape, 1]
        return self.shape == other.shape and bool(reach.max() <= share * steps.min())

    def grid(self) -> Grid:
        """The geometry as a grid.

        Raises:
            BadScan: ``singular-affine``, ``sheared-affine``.
        """
        return Grid.from_affine(self.shape, self.affine)


@dataclass(frozen=True)
class Raster:
    """What a volume file's header says, checked for sense but not yet against the file's bytes.

    Attributes:
        path: the file that holds the voxels.
        geometry: where they lie.
        dtype: numpy's name of the stored type, with byte order.
        offset: first byte of the voxels (``raw``), or of the compressed stream.
        encoding: how the voxels are packed.
        skip: inflated bytes before the voxels.
        layers: values per voxel, next to each other in the file; 1 except for label files with overlapping segments.
        slope: HU are stored * slope + intercept.
        intercept: see slope.
        notes: what to record in the provenance.
        keys: the header's own keys and values, where the format has them.
    """

    path: str
    geometry: Geometry
    dtype: str
    offset: int
    encoding: Literal["raw", "deflate"] = "raw"
    skip: int = 0
    layers: int = 1
    slope: float = 1.0
    intercept: float = 0.0
    notes: tuple[str, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()

    @property
    def num_bytes(self) -> int:
        """Bytes of the voxels, not compressed."""
        return math.prod(self.geometry.shape) * self.layers * np.dtype(self.dtype).itemsize


def check_shape(shape_xyz: tuple[int, ...]) -> None:
    """Refuse (``dimensions``) what is no volume."""
    if len(shape_xyz) != 3 or min(shape_xyz) < 1:
        what = f"the dimensions {'x'.join(map(str, shape_xyz))} are not those of one volume"
        raise BadScan("dimensions", what, remedy="split time series and colour images; one file holds one scan")


def check_geometry(geometry: Geometry) -> None:
    """Refuse (``singular-affine``) an affine that does not map voxels to distinct positions."""
    matrix = geometry.matrix
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    usable = np.isfinite(matrix).all() and (lengths > 1e-6).all() and (lengths < 1e4).all()
    if not (usable and abs(np.linalg.det(matrix[:3, :3] / np.where(lengths > 0, lengths, 1))) > 1e-3):
        what = f"the affine {matrix[:3].round(6).tolist()} does not map voxels to distinct positions"
        raise BadScan("singular-affine", what, remedy="mend the header's spacing and orientation fields")


def check_size(raster: Raster) -> None:
    """Check what the header declares against the bytes there are.

    Raises:
        BadScan: ``declared-size``, ``truncated-pixels``.
    """
    size = raster.num_bytes
    check_extent(raster.geometry.shape, size)
    available = Path(raster.path).stat().st_size - raster.offset
    if raster.encoding == "deflate":
        check_ratio(raster.skip + size, available)
    elif available < size:
        what = f"the header declares {size} bytes of voxels, {max(0, available)} are there"
        raise BadScan("truncated-pixels", what, remedy="fetch or export the file again")


def map_voxels(raster: Raster, scratch: Path) -> RawVolume:
    """The voxels as a mapped file: the source itself if they lie there as they are, else a copy in ``scratch``.

    Raises:
        BadScan: as `check_size`, and ``inflated-size``, ``corrupt-compression``.
    """
    check_size(raster)
    if raster.encoding == "raw":
        return _mapped(raster, Path(raster.path), raster.offset)
    copy = new_spool(scratch)
    with copy.open("wb") as file:
        for piece in inflate(Path(raster.path), offset=raster.offset, skip=raster.skip, size=raster.num_bytes):
            file.write(piece)
    return _mapped(raster, copy, 0)


def _mapped(raster: Raster, path: Path, offset: int) -> RawVolume:
    z, y, x = raster.geometry.shape
    return RawVolume(str(path), offset, raster.dtype, (z, y, x * raster.layers))


def stored_pieces(raster: Raster) -> Iterator[npt.NDArray[np.generic]]:
    """The stored numbers in file order, in flat pieces of whole voxels (all layers of a voxel in one piece).

    Raises:
        BadScan: as `map_voxels`.
    """
    check_size(raster)
    if raster.encoding == "raw":
        count = max(1, _PIECE_NUMBERS // raster.layers) * raster.layers
        for block in _mapped(raster, Path(raster.path), raster.offset).blocks():
            numbers = block.reshape(-1)
            yield from (numbers[start : start + count] for start in range(0, numbers.size, count))
        return
    voxel_bytes = raster.layers * np.dtype(raster.dtype).itemsize
    rest = b""
    for piece in inflate(Path(raster.path), offset=raster.offset, skip=raster.skip, size=raster.num_bytes):
        data = rest + piece
        whole = len(data) // voxel_bytes * voxel_bytes
        rest = data[whole:]
        yield np.frombuffer(data[:whole], raster.dtype)
