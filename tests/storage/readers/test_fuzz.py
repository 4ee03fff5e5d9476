"""Damaged headers: a scan that makes sense, or a refusal; never another exception, never much memory."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osteon.core.errors import OsteonError
from osteon.storage.readers import Rejected, find_scans, open_scan

Hu = npt.NDArray[np.int16]
MAX_BYTES = 64 << 20
# The interesting values of a byte or a field, beside those that hypothesis finds.
EDGES = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\x7f",
    b"\0\0\x80\x7f",
    b"\0\0\xc0\x7f",
    b"\xfe\xff\x00\xe0",
    b"0 -1",
    b"1e99",
    b"nan ",
    b"\n\n\n\n",
]
EDITS = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=6) | st.sampled_from(EDGES)),
    min_size=1,
    max_size=4,
)
FUZZ = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def damage(content: bytes, edits: list[tuple[float, bytes]], reach: int) -> bytes:
    """The bytes with some of the first ``reach`` of them overwritten."""
    damaged = bytearray(content)
    for place, data in edits:
        start = int(place * min(reach, len(content)))
        damaged[start : start + len(data)] = data
    return bytes(damaged)


def open_or_refuse(path: Path, scratch: Path) -> None:
    tracemalloc.start()
    try:
        for allow_gaps in (False, True):
            for found in find_scans(path):
                if isinstance(found, Rejected):
                    assert found.code
                    continue
                with suppress(OsteonError):  # any other exception fails the test
                    scan = open_scan(found, scratch=scratch, allow_gaps=allow_gaps)
                    assert scan.grid.num_voxels * 2 < MAX_BYTES
                    assert scan.read().shape == scan.grid.shape
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        for file in scratch.glob("*"):
            file.unlink()
    assert peak < MAX_BYTES


@pytest.fixture
def dicom(write_series: Callable[..., Path], hu: Hu) -> Path:
    return write_series(hu[:3]) / "IM0001"


@FUZZ
@given(edits=EDITS)
def test_dicom(dicom: Path, scratch: Path, edits: list[tuple[float, bytes]]) -> None:
    content = dicom.read_bytes()
    try:
        dicom.write_bytes(damage(content, edits, len(content) - 2 * 72))
        open_or_refuse(dicom.parent, scratch)
    finally:
        dicom.write_bytes(content)


@pytest.fixture
def nifti(write_nifti: Callable[..., Path], hu: Hu) -> bytes:
    return gzip.decompress(write_nifti(hu).read_bytes())


@FUZZ
@given(edits=EDITS, packed=st.booleans())
def test_nifti(nifti: bytes, tmp_path: Path, scratch: Path, edits: list[tuple[float, bytes]], packed: bool) -> None:
    damaged = damage(nifti, edits, 352)
    path = tmp_path / ("fuzz.nii.gz" if packed else "fuzz.nii")
    path.write_bytes(gzip.compress(damaged, 1) if packed else damaged)
    open_or_refuse(path, scratch)


@FUZZ
@given(edits=EDITS)
def test_gzip_streams(nifti: bytes, tmp_path: Path, scratch: Path, edits: list[tuple[float, bytes]]) -> None:
    packed = gzip.compress(nifti, 6)
    path = tmp_path / "fuzz.nii.gz"
    path.write_bytes(damage(packed, edits, len(packed)))
    open_or_refuse(path, scratch)


METAIMAGE = (
    b"ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nCompressedData = True\n"
    b"TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = -1 -2 -3\nElementSpacing = 0.7 0.5 2\nDimSize = 8 9 6\n"
    b"ElementType = MET_SHORT\nElementDataFile = LOCAL\n"
)
NRRD = (
    b"NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 8 9 6\n"
    b"space directions: (0.7,0,0) (0,0.5,0) (0,0,2)\nkinds: domain domain domain\nendian: little\n"
    b"encoding: gzip\nspace origin: (-1,-2,-3)\n\n"
)


@pytest.mark.parametrize(("name", "header"), [("fuzz.mha", METAIMAGE), ("fuzz.nrrd", NRRD)])
@FUZZ
@given(edits=EDITS)
def test_text_headers(
    name: str, header: bytes, tmp_path: Path, scratch: Path, edits: list[tuple[float, bytes]], hu: Hu
) -> None:
    voxels = zlib.compress(hu.tobytes()) if name == "fuzz.mha" else gzip.compress(hu.tobytes())
    (tmp_path / name).write_bytes(damage(header + voxels, edits, len(header)))
    open_or_refuse(tmp_path / name, scratch)
