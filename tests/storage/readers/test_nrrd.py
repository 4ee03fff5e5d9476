"""NRRD files as SimpleITK writes them, and what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # its own documentation's name

from osteon.core.errors import BadScan
from osteon.core.geometry import Grid
from osteon.storage.readers import Scan

Hu = npt.NDArray[np.int16]
Open = Callable[..., Scan]
TURNED = (0.6, -0.8, 0.0, 0.8, 0.6, 0.0, 0.0, 0.0, 1.0)
HEADER = """NRRD0005
# a comment
type: short
dimension: 3
space: {space}
sizes: 8 9 6
space directions: ({x},0,0) (0,{y},0) (0,0,2.0)
kinds: domain domain domain
endian: little
encoding: raw
space origin: ({x0},{y0},100)

"""


@pytest.mark.parametrize("name", ["ct.nrrd", "ct.nhdr"])
@pytest.mark.parametrize("compress", [True, False])
def test_equal_to_simpleitk(tmp_path: Path, open_one: Open, hu: Hu, name: str, compress: bool) -> None:
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.7, 0.5, 2.0))
    image.SetOrigin((-10.25, 1e3 / 3, -1434.5))
    image.SetDirection(TURNED)
    sitk.WriteImage(image, str(tmp_path / name), compress)
    scan = open_one(tmp_path / name)
    image = sitk.ReadImage(str(tmp_path / name))
    source = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert scan.provenance.source_grid.matches(source, 1e-6)
    np.testing.assert_array_equal(scan.provenance.reorientation.invert(scan.read()), hu)


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("left-posterior-superior", (1, 1)),
        ("LPS", (1, 1)),
        ("right-anterior-superior", (-1, -1)),
        ("RAS", (-1, -1)),
        ("left-anterior-superior", (1, -1)),
    ],
)
def test_spaces_are_turned_to_lps(tmp_path: Path, open_one: Open, hu: Hu, space: str, signs: tuple[int, int]) -> None:
    header = HEADER.format(space=space, x=0.7 * signs[0], y=0.5 * signs[1], x0=-10 * signs[0], y0=-20 * signs[1])
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + hu.tobytes())
    scan = open_one(tmp_path / "ct.nrrd")
    assert scan.provenance.reorientation.is_identity
    assert scan.grid.origin_mm == (100.0, -20.0, -10.0)
    np.testing.assert_array_equal(scan.read(), hu)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("sizes: 8 9 6", "sizes: 30000 30000 30000", "declared-size"),
        ("sizes: 8 9 6", "sizes: 8 9 7", "truncated-pixels"),
        ("sizes: 8 9 6", "sizes: 8 9 0", "dimensions"),
        ("sizes: 8 9 6", "sizes: 8 9", "dimensions"),
        ("sizes: 8 9 6", "sizes: eight", "unreadable-header"),
        ("type: short", "type: block", "voxel-type"),
        ("encoding: raw", "encoding: bzip2", "encoding"),
        ("encoding: raw", "encoding: ascii", "encoding"),
        ("encoding: raw", "encoding: raw\nline skip: 3", "encoding"),
        ("encoding: raw", "encoding: gzip", "corrupt-compression"),
        ("endian: little", "endian: middle", "unreadable-header"),
        ("space: LPS", "space: scanner-xyz", "no-orientation"),
        ("space: LPS\n", "", "no-orientation"),
        ("(0.7,0,0)", "(0,0,0)", "singular-affine"),
        ("(0.7,0,0)", "(nan,0,0)", "unreadable-header"),
        ("(0.7,0,0)", "none", "no-orientation"),
        ("endian: little", "data file: ../../secret.raw", "data-file"),
        ("endian: little", "data file: LIST", "data-file"),
        ("NRRD0005", "NARD0005", "unreadable-header"),
    ],
)
def test_a_bad_header_is_refused(tmp_path: Path, open_one: Open, hu: Hu, old: str, new: str, code: str) -> None:
    header = HEADER.format(space="LPS", x=0.7, y=0.5, x0=0, y0=0)
    assert old in header
    (tmp_path / "ct.nrrd").write_bytes(header.replace(old, new).encode() + hu.tobytes())
    with pytest.raises(BadScan) as caught:
        open_one(tmp_path / "ct.nrrd")
    assert caught.value.code == code


def test_a_sheared_volume_is_a_tilted_one(tmp_path: Path, open_one: Open, hu: Hu) -> None:
    header = HEADER.format(space="LPS", x=0.7, y=0.5, x0=0, y0=0).replace("(0,0,2.0)", "(0,0.5,2.0)")
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + hu.tobytes())
    with pytest.raises(BadScan) as caught:
        open_one(tmp_path / "ct.nrrd")
    assert caught.value.code == "tilted-gantry"
    assert open_one(tmp_path / "ct.nrrd", allow_gaps=True).grid.shape == (6, 14, 8)


def test_trailing_bytes_of_a_gzip_stream_are_bounded(tmp_path: Path, open_one: Open, hu: Hu) -> None:
    header = HEADER.format(space="LPS", x=0.7, y=0.5, x0=0, y0=0).replace("encoding: raw", "encoding: gzip")
    (tmp_path / "ct.nrrd").write_bytes(header.encode() + gzip.compress(hu.tobytes() + bytes(1 << 22)))
    with pytest.raises(BadScan) as caught:
        open_one(tmp_path / "ct.nrrd")
    assert caught.value.code == "inflated-size"
