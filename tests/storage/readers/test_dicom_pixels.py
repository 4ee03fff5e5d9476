"""Every transfer syntax that is read, voxel for voxel; compressed ones written by GDCM and pydicom."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gdcm
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from osteon.core.errors import BadScan
from osteon.storage.readers import Scan

Hu = npt.NDArray[np.int16]
Write = Callable[..., Path]
Open = Callable[..., Scan]

NATIVE = [uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian, uid.ExplicitVRBigEndian]
LOSSLESS = {
    uid.JPEGLossless: gdcm.TransferSyntax.JPEGLosslessProcess14,
    uid.JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    uid.JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
    uid.JPEG2000Lossless: gdcm.TransferSyntax.JPEG2000Lossless,
    uid.RLELossless: gdcm.TransferSyntax.RLELossless,
}
LOSSY = {
    uid.JPEGLSNearLossless: gdcm.TransferSyntax.JPEGLSNearLossless,
    uid.JPEG2000: gdcm.TransferSyntax.JPEG2000,
}


def recompress(folder: Path, syntax: int) -> None:
    """Let GDCM rewrite every file of a folder in another transfer syntax."""
    for file in sorted(folder.iterdir()):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(file))
        assert reader.Read()
        change = gdcm.ImageChangeTransferSyntax()
        change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer = gdcm.ImageWriter()
        writer.SetFileName(str(file))
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        assert writer.Write()


@pytest.mark.parametrize("syntax", NATIVE)
def test_native_pixels(write_series: Write, open_one: Open, hu: Hu, syntax: uid.UID) -> None:
    np.testing.assert_array_equal(open_one(write_series(hu, syntax=syntax)).read(), hu)


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_lossless_pixels(write_series: Write, open_one: Open, syntax: uid.UID) -> None:
    hu = np.random.default_rng(3).integers(-1000, 1500, (3, 32, 40)).astype(np.int16)

    def no_negatives(dataset: Dataset, number: int) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = 0, "-1024"
        dataset.PixelData = (hu[number] + 1024).astype("<u2").tobytes()

    folder = write_series(hu, no_negatives)
    recompress(folder, LOSSLESS[syntax])
    assert pydicom.dcmread(next(folder.iterdir())).file_meta.TransferSyntaxUID == syntax
    scan = open_one(folder)
    np.testing.assert_array_equal(scan.read(), hu)
    assert scan.provenance.corrections == ()


@pytest.mark.parametrize("syntax", LOSSY)
def test_lossy_pixels_are_read_and_marked(write_series: Write, open_one: Open, syntax: uid.UID) -> None:
    ramp = np.linspace(-1000, 1400, 32 * 40).reshape(32, 40)
    hu = np.stack([ramp, ramp[::-1]]).astype(np.int16)
    folder = write_series(hu)
    recompress(folder, LOSSY[syntax])
    assert pydicom.dcmread(next(folder.iterdir())).file_meta.TransferSyntaxUID == syntax
    scan = open_one(folder)
    assert scan.read().shape == hu.shape
    assert "lossy: compression changed the pixels before they came here" in scan.provenance.corrections


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("compress", [uid.RLELossless, uid.JPEG2000Lossless])
def test_pixels_compressed_by_pydicom(write_series: Write, open_one: Open, compress: str, signed: bool) -> None:
    hu = np.random.default_rng(4).integers(-1000, 1500, (2, 40, 33)).astype(np.int16)

    def pack(dataset: Dataset, number: int) -> None:
        dataset.PixelRepresentation, dataset.RescaleIntercept = int(signed), "-1024"
        dataset.PixelData = (hu[number] + 1024).astype("<i2").tobytes()
        dataset.compress(compress)

    np.testing.assert_array_equal(open_one(write_series(hu, pack)).read(), hu)


def test_deflated_pixels(write_series: Write, open_one: Open, hu: Hu) -> None:
    folder = write_series(hu, syntax=uid.DeflatedExplicitVRLittleEndian)
    np.testing.assert_array_equal(open_one(folder).read(), hu)


def test_a_deflated_file_that_is_cut_short_is_refused(write_series: Write, open_one: Open, hu: Hu) -> None:
    folder = write_series(hu, syntax=uid.DeflatedExplicitVRLittleEndian)
    file = folder / "IM0002"
    file.write_bytes(file.read_bytes()[:-60])
    with pytest.raises(BadScan) as caught:
        open_one(folder)
    assert caught.value.code in {"corrupt-compression", "truncated-pixels"}


def test_damaged_compressed_pixels_are_refused(write_series: Write, open_one: Open) -> None:
    hu = np.random.default_rng(4).integers(-1000, 1500, (2, 40, 33)).astype(np.int16)

    def pack(dataset: Dataset, _number: int) -> None:
        dataset.compress(uid.JPEG2000Lossless)

    folder = write_series(hu, pack)
    for file in folder.iterdir():
        content = bytearray(file.read_bytes())
        start = content.index(b"\xff\x4f\xff\x51")  # start of the JPEG 2000 code stream
        content[start + 4 : start + 60] = bytes(56)
        file.write_bytes(bytes(content))
    with pytest.raises(BadScan) as caught:
        open_one(folder)
    assert caught.value.code == "undecodable-pixels"
    assert caught.value.where.startswith(str(folder))


def test_native_and_compressed_slices_may_be_mixed(write_series: Write, open_one: Open, hu: Hu) -> None:
    def pack_some(dataset: Dataset, number: int) -> None:
        if number in {1, 2, 5}:
            dataset.compress(uid.RLELossless)

    np.testing.assert_array_equal(open_one(write_series(hu, pack_some)).read(), hu)


@pytest.mark.parametrize(
    ("syntax", "compressed"),
    [
        (uid.ExplicitVRLittleEndian, False),
        (uid.ExplicitVRLittleEndian, True),
        (uid.DeflatedExplicitVRLittleEndian, False),
    ],
)
def test_an_enhanced_multi_frame_file(
    write_series: Write, open_one: Open, hu: Hu, syntax: str, compressed: bool
) -> None:
    places = [4, 0, 5, 1, 3, 2]  # frames lie in any order

    def enhance(dataset: Dataset, _number: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.EnhancedCTImageStorage
        dataset.NumberOfFrames = len(hu)
        shared = Dataset()
        shared.PlaneOrientationSequence = [item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
        shared.PixelMeasuresSequence = [item(PixelSpacing=[0.5, 0.7], SliceThickness=2)]
        shared.PixelValueTransformationSequence = [item(RescaleSlope=1, RescaleIntercept=-24, RescaleType="HU")]
        dataset.SharedFunctionalGroupsSequence = [shared]
        dataset.PerFrameFunctionalGroupsSequence = [
            item(PlanePositionSequence=[item(ImagePositionPatient=[-10, -20, 100 + 2 * place])]) for place in places
        ]
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
            del dataset[keyword]
        dataset.PixelData = (hu[places] + 24).astype("<i2").tobytes()
        if compressed:
            dataset.compress(uid.RLELossless)

    scan = open_one(write_series(hu[:1], enhance, syntax=syntax))
    np.testing.assert_array_equal(scan.read(), hu)
    np.testing.assert_array_equal(scan.read_slab(2, 4), hu[2:4])
    assert scan.grid.spacing_mm == (2.0, 0.5, 0.7)


def item(**values: object) -> Dataset:
    """A sequence item."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset
