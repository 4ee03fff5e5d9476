"""MetaImage files as SimpleITK writes them, and what is refused."""

from __future__ import annotations

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


@pytest.fixture
def write(tmp_path: Path, hu: Hu) -> Callable[..., Path]:
    """Write the volume with SimpleITK, turned by 53 degrees about z."""

    def write_it(name: str, *, compress: bool = False, dtype: str = "int16") -> Path:
        image = sitk.GetImageFromArray(hu.astype(dtype))
        image.SetSpacing((0.75, 0.5, 2.0))
        image.SetOrigin((-10.25, 1e3 / 3, -1434.5))
        image.SetDirection(TURNED)
        sitk.WriteImage(image, str(tmp_path / name), compress)
        return tmp_path / name

    return write_it


def edit(path: Path, old: str, new: str) -> Path:
    assert old.encode() in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
    return path


@pytest.mark.parametrize("name", ["ct.mha", "ct.mhd"])
@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_equal_to_simpleitk(
    write: Callable[..., Path], open_one: Open, hu: Hu, name: str, compress: bool, dtype: str
) -> None:
    path = write(name, compress=compress, dtype=dtype)
    scan = open_one(path)
    image = sitk.ReadImage(str(path))
    source = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert scan.provenance.source_grid.matches(source, 1e-6)
    np.testing.assert_array_equal(scan.provenance.reorientation.invert(scan.read()), hu)


def test_big_endian_voxels(write: Callable[..., Path], open_one: Open, hu: Hu) -> None:
    path = edit(write("ct.mha"), "BinaryDataByteOrderMSB = False", "BinaryDataByteOrderMSB = True")
    content = path.read_bytes()
    path.write_bytes(content[: -hu.nbytes] + hu.astype(">i2").tobytes())
    scan = open_one(path)
    np.testing.assert_array_equal(scan.provenance.reorientation.invert(scan.read()), hu)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("DimSize = 8 9 6", "DimSize = 30000 30000 30000", "declared-size"),
        ("DimSize = 8 9 6", "DimSize = 8 9 7", "truncated-pixels"),
        ("DimSize = 8 9 6", "DimSize = 8 0 6", "dimensions"),
        ("DimSize = 8 9 6", "DimSize = 8 nan 6", "unreadable-header"),
        ("ElementSpacing = 0.75", "ElementSpacing = 0", "spacing"),
        ("ElementSpacing = 0.75", "ElementSpacing = -1", "spacing"),
        ("ElementType = MET_SHORT", "ElementType = MET_WAVE", "voxel-type"),
        ("ElementDataFile = LOCAL", "ElementDataFile = /etc/passwd", "data-file"),
        ("ElementDataFile = LOCAL", "ElementDataFile = ../ct.raw", "data-file"),
        ("ElementDataFile = LOCAL", "ElementDataFile = LIST", "data-file"),
        ("TransformMatrix = ", "TransformMatrix = 0 0 0 ", "unreadable-header"),
        ("BinaryData = True", "BinaryData = False", "encoding"),
        ("ElementDataFile", "ElementDataPile", "unreadable-header"),
    ],
)
def test_a_bad_header_is_refused(write: Callable[..., Path], open_one: Open, old: str, new: str, code: str) -> None:
    with pytest.raises(BadScan) as caught:
        open_one(edit(write("ct.mha"), old, new))
    assert caught.value.code == code


def test_a_damaged_stream_is_refused(write: Callable[..., Path], open_one: Open) -> None:
    path = write("ct.mha", compress=True)
    path.write_bytes(path.read_bytes()[:-3] + b"abc")
    with pytest.raises(BadScan) as caught:
        open_one(path)
    assert caught.value.code == "corrupt-compression"
