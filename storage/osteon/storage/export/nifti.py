"""Writes NIfTI-1 files: the affine as sform, and as qform where a quaternion can say the same."""

from __future__ import annotations

import math
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.storage.export.packing import planes_of, write_gzip
from osteon.storage.readers.nifti import DATATYPES, HEADER, HEADER_BYTES

_CODES = {np.dtype(name): code for code, name in DATATYPES.items()}
_VOXEL_OFFSET = 352
_SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
_LABELS = 1002  # NIFTI_INTENT_LABEL
_MILLIMETRE = 2
_ORTHOGONAL = 1e-6  # largest cosine between axes at which a quaternion still gives the affine back

Floats = npt.NDArray[np.float64]


def write_nifti(file: BinaryIO, array: Array, grid: Grid, table: LabelTable | None, compress: bool) -> None:
    """Write a (z, y, x) array on its grid; a table marks it as labels."""
    header = _header(array.dtype, grid, is_labels=table is not None) + bytes(_VOXEL_OFFSET - HEADER_BYTES)
    if compress:
        write_gzip(file, array, header)
        return
    file.write(header)
    for plane in planes_of(array):
        file.write(plane)


def _header(dtype: np.dtype[np.generic], grid: Grid, *, is_labels: bool) -> bytes:
    header = np.zeros((), HEADER)
    axes = np.diag([-1.0, -1.0, 1.0]) @ grid.affine[:3, :3][::-1, ::-1]  # x, y, z; RAS
    origin = np.array([-1.0, -1.0, 1.0]) * grid.origin_mm[::-1]
    quaternion, handedness = _quaternion(axes / np.asarray(grid.spacing_mm[::-1]))
    header["sizeof_hdr"] = HEADER_BYTES
    header["dim"] = (3, *grid.shape[::-1], 1, 1, 1, 1)
    header["intent_code"] = _LABELS if is_labels else 0
    header["datatype"], header["bitpix"] = _CODES[dtype], 8 * dtype.itemsize
    header["pixdim"] = (handedness, *grid.spacing_mm[::-1], 0, 0, 0, 0)
    header["vox_offset"], header["scl_slope"], header["xyzt_units"] = _VOXEL_OFFSET, 1, _MILLIMETRE
    header["srow"] = np.column_stack([axes, origin]) + 0.0
    header["sform_code"] = _SCANNER
    cosines = np.abs(axes.T @ axes - np.diag(np.diag(axes.T @ axes))).max() / min(grid.spacing_mm) ** 2
    if cosines <= _ORTHOGONAL:
        header["qform_code"], header["quatern"], header["qoffset"] = _SCANNER, quaternion, origin + 0.0
    header["magic"] = b"n+1"
    return header.tobytes()


def _quaternion(rotation: Floats) -> tuple[Floats, float]:
    """b, c, d of the unit quaternion (a >= 0) of a 3x3 orthonormal matrix, and the handedness for pixdim[0].

    The quaternion is the eigenvector of the largest eigenvalue of Bar-Itzhack's matrix, which no case distinction and
    no rounding upsets. Bar-Itzhack, J. Guidance 23 (2000) 1085.
    """
    handedness = 1.0 if np.linalg.det(rotation) > 0 else -1.0
    r = rotation * [1.0, 1.0, handedness]
    matrix = np.array(
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    b, c, d, a = np.linalg.eigh(matrix)[1][:, -1]
    return np.array([b, c, d]) * math.copysign(1.0, a), handedness
