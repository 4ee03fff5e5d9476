"""NIfTI-1 headers (.nii, .nii.gz), read by hand: 348 bytes, each of them doubted.

Field names and meanings: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h. The sform comes before the qform.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.storage.readers.raster import Geometry, Raster, check_geometry, check_shape

HEADER_BYTES = 348
HEADER = np.dtype(
    {
        "names": [
            "sizeof_hdr", "dim", "intent_code", "datatype", "bitpix", "pixdim", "vox_offset", "scl_slope", "scl_inter",
            "xyzt_units", "qform_code", "sform_code", "quatern", "qoffset", "srow", "magic",
        ],
        "formats": [
            "<i4", ("<i2", 8), "<i2", "<i2", "<i2", ("<f4", 8), "<f4", "<f4", "<f4", "u1",
            "<i2", "<i2", ("<f4", 3), ("<f4", 3), ("<f4", (3, 4)), "S4",
        ],
        "offsets": [0, 40, 68, 70, 72, 76, 108, 112, 116, 123, 252, 254, 256, 268, 280, 344],
        "itemsize": HEADER_BYTES,
    }
)  # fmt: skip
DATATYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
_LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0])
_MILLIMETRE = 2
_SAME_MM = 1e-3  # sform and qform that place no corner further apart are the same


@dataclass(frozen=True)
class _Placement:
    axes: npt.NDArray[np.float64]  # 3x3, column k is the step along axis k in RAS mm
    origin: npt.NDArray[np.float64]

    def __post_init__(self) -> None:
        if not (np.isfinite(self.axes).all() and np.isfinite(self.origin).all()):
            raise BadScan("singular-affine", "the sform or qform is not finite", remedy="mend the header's orientation")


@np.errstate(invalid="ignore", over="ignore")  # a damaged field may hold a signalling NaN; all are checked below
def read_nifti(path: Path) -> Raster:
    """The header of a NIfTI-1 file.

    Raises:
        BadScan: ``unreadable-header``, ``dimensions``, ``voxel-type``, ``spacing``, ``singular-affine``,
            ``no-orientation``, ``units``, ``rescale``, ``corrupt-compression``.
    """
    is_gzip, data = _head(path)
    byte_order, header = _parse(data)
    dim = [int(value) for value in header["dim"]]
    if not 1 <= dim[0] <= 7 or any(size != 1 for size in dim[4 : dim[0] + 1]):
        check_shape(tuple(dim[1 : max(1, min(dim[0], 7)) + 1]))
    shape = tuple(dim[1 : min(dim[0], 3) + 1])
    check_shape(shape)
    code = int(header["datatype"])
    if code not in DATATYPES:
        what = f"voxels of datatype {code}, which is no plain number"
        raise BadScan("voxel-type", what, remedy="save the scan as int16")
    placement, notes = _place(header, shape)
    geometry = Geometry.of_columns(shape, _LPS_OF_RAS @ placement.axes, _LPS_OF_RAS @ placement.origin)
    check_geometry(geometry)
    slope, intercept = _rescale(float(header["scl_slope"]), float(header["scl_inter"]))
    offset = _voxel_offset(float(header["vox_offset"]))
    return Raster(
        path=str(path),
        geometry=geometry,
        dtype=byte_order + DATATYPES[code],
        offset=0 if is_gzip else offset,
        encoding="deflate" if is_gzip else "raw",
        skip=offset if is_gzip else 0,
        slope=slope,
        intercept=intercept,
        notes=notes,
    )


def _head(path: Path) -> tuple[bool, bytes]:
    """Whether the file is gzipped, and its first 348 bytes, inflated."""
    with path.open("rb") as file:
        start = file.read(4096)
    is_gzip = start.startswith(b"\x1f\x8b")
    if is_gzip:
        try:
            start = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(start, HEADER_BYTES)
        except zlib.error as error:
            raise BadScan("corrupt-compression", f"the gzip stream is damaged ({error})") from None
    return is_gzip, start[:HEADER_BYTES]


def _parse(data: bytes) -> tuple[str, np.void]:
    """Byte order and fields of the header."""
    if len(data) == HEADER_BYTES:
        for byte_order, layout in (("<", HEADER), (">", HEADER.newbyteorder(">"))):
            header = np.frombuffer(data, layout)[0]
            if header["sizeof_hdr"] == HEADER_BYTES and header["magic"] == b"n+1":
                return byte_order, header
    raise BadScan("unreadable-header", "this is no NIfTI-1 file in one piece (n+1)", remedy="convert it to .nii.gz")


def _place(header: np.void, shape: tuple[int, ...]) -> tuple[_Placement, tuple[str, ...]]:
    units = int(header["xyzt_units"]) & 7
    if units not in (0, _MILLIMETRE):
        what = f"lengths are in unit {units} of NIfTI, only millimetres are read"
        raise BadScan("units", what, remedy="save the scan in millimetres")
    pixdim = np.asarray(header["pixdim"], np.float64)
    if not (np.isfinite(pixdim[1:4]).all() and (pixdim[1:4] > 0).all()):
        raise BadScan("spacing", f"pixdim {pixdim[1:4].tolist()}", remedy="mend the header's voxel size")
    has_sform, has_qform = int(header["sform_code"]) > 0, int(header["qform_code"]) > 0
    if has_sform:
        sform = _of_srow(header)
        apart = _distance(sform, _of_quaternion(header, pixdim), shape) if has_qform else 0.0
        if apart <= _SAME_MM:
            return sform, ()
        return sform, (f"sform-qform: sform and qform place voxels up to {apart:.3f} mm apart; the sform was followed",)
    if has_qform:
        return _of_quaternion(header, pixdim), ()
    what = "neither sform nor qform is set: left and right cannot be told apart"
    raise BadScan("no-orientation", what, remedy="set the sform")


def _of_srow(header: np.void) -> _Placement:
    rows = np.asarray(header["srow"], np.float64)
    return _Placement(rows[:, :3], rows[:, 3])


def _of_quaternion(header: np.void, pixdim: npt.NDArray[np.float64]) -> _Placement:
    """Method 2 of nifti1.h: a unit quaternion, whose first part is not stored, and a handedness in pixdim[0]."""
    b, c, d = (float(value) for value in header["quatern"])
    square = 1.0 - (b * b + c * c + d * d)
    if not square > -1e-5:
        what = f"the quaternion ({b:g}, {c:g}, {d:g}) is longer than 1"
        raise BadScan("singular-affine", what, remedy="mend the qform, or set the sform")
    if square < 1e-7:  # a half turn: rounding may have left a tiny rest
        a, (b, c, d) = 0.0, np.array([b, c, d]) / math.sqrt(b * b + c * c + d * d)
    else:
        a = math.sqrt(square)
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    steps = pixdim[1:4] * [1.0, 1.0, -1.0 if pixdim[0] < 0 else 1.0]
    return _Placement(rotation * steps, np.asarray(header["qoffset"], np.float64))


def _distance(one: _Placement, other: _Placement, shape: tuple[int, ...]) -> float:
    """The largest distance between the two places of any corner, mm."""
    corners = np.indices((2, 2, 2)).reshape(3, -1) * (np.reshape(shape, (3, 1)) - 1)
    gap = (one.axes - other.axes) @ corners + (one.origin - other.origin)[:, None]
    return float(np.linalg.norm(gap, axis=0).max())


def _rescale(slope: float, intercept: float) -> tuple[float, float]:
    """Slope 0 means no scaling (nifti1.h), and so does NaN, which nibabel and ITK write for it."""
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        raise BadScan("rescale", f"scl_slope {slope:g}, scl_inter {intercept:g}", remedy="set both to NaN")
    return slope, intercept


def _voxel_offset(offset: float) -> int:
    if not (math.isfinite(offset) and HEADER_BYTES <= offset < 1 << 28 and offset.is_integer()):
        raise BadScan("unreadable-header", f"vox_offset {offset:g}", remedy="save the scan again")
    return int(offset)
