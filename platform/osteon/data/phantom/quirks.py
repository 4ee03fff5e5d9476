"""What hospitals' DICOM series look like besides the textbook: each quirk changes a series as one of them did.

The harmless ones leave the same voxels to be read; the others leave a series that must be refused, or mended on
request. Padding is the one harmless quirk that changes values: outside the circle there is no HU to read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from osteon.core.errors import BadInput
from osteon.data.phantom.dicom import USUAL_INTERCEPT, SliceFile, store_pixels, uid
from osteon.data.phantom.draws import Draws

PADDING = -2000  # stored value outside the circle, as GE's scanners write it; reads as -3024 HU
TILT = 0.2126  # tangent of 12 degrees

Series = list[SliceFile]
Change = Callable[[Series, Draws], Series]


@dataclass(frozen=True)
class Quirk:
    """A deviation from the textbook series.

    Attributes:
        says: what is different, for people.
        change: makes it so.
        harmless: whether a reader must read the series right; else it must refuse it.
    """

    says: str
    change: Change
    harmless: bool = True


def parse_quirks(text: str) -> tuple[str, ...]:
    """The names of a comma-separated list; ``all`` is every quirk.

    Raises:
        BadInput: ``phantom-quirk`` for a name that is none.
    """
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if names == ("all",):
        return tuple(QUIRKS)
    for name in names:
        if name not in QUIRKS:
            raise BadInput("phantom-quirk", f"there is no quirk {name!r}", remedy=f"choose among {', '.join(QUIRKS)}")
    return names


def _descending(series: Series, _: Draws) -> Series:
    return [file.named(other.name) for file, other in zip(series, reversed(series), strict=True)]


def _shuffled(series: Series, draws: Draws) -> Series:
    shuffled = []
    for file, number in zip(series, draws.order(len(series)), strict=True):
        file.dataset.InstanceNumber = number + 1
        shuffled.append(file.named(uid(number, file.dataset.SOPInstanceUID).rpartition(".")[2][:16]))
    return shuffled


def _empty_uids(series: Series, _: Draws) -> Series:
    for file in series:
        for keyword in ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber"):
            setattr(file.dataset, keyword, "")
    return series


def _intercept(series: Series, _: Draws) -> Series:
    for file in series:
        store_pixels(file.dataset, _hu(file.dataset), intercept=-1000)
    return series


def _padding(series: Series, _: Draws) -> Series:
    for file in series:
        hu = _hu(file.dataset)
        y, x = (np.arange(n) - 0.5 * (n - 1) for n in hu.shape)
        outside = y[:, None] ** 2 + x[None, :] ** 2 > (0.5 * max(hu.shape)) ** 2
        store_pixels(file.dataset, np.where(outside, PADDING + USUAL_INTERCEPT, hu).astype(np.int16))
        file.dataset.add_new("PixelPaddingValue", "SS", PADDING)
    return series


def _rle(series: Series, _: Draws) -> Series:
    for file in series:
        file.dataset.compress(RLELossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    return series


def _jpeg2000(series: Series, _: Draws) -> Series:
    for file in series:
        file.dataset.compress(JPEG2000Lossless, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    return series


def _jpegls(series: Series, _: Draws) -> Series:
    return _by_gdcm(series, JPEGLSLossless)


def _jpeg(series: Series, _: Draws) -> Series:
    return _by_gdcm(series, JPEGLosslessSV1)


def _by_gdcm(series: Series, syntax: UID) -> Series:
    """Compress with GDCM, which pydicom cannot drive as an encoder: through a file, of which the pixels are kept."""
    import gdcm

    syntaxes = {
        JPEGLSLossless: gdcm.TransferSyntax.JPEGLSLossless,
        JPEGLosslessSV1: gdcm.TransferSyntax.JPEGLosslessProcess14_1,
    }
    with tempfile.TemporaryDirectory() as folder:
        plain, packed = Path(folder) / "plain.dcm", Path(folder) / "packed.dcm"
        for file in series:
            plain.write_bytes(file.to_bytes())
            reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
            reader.SetFileName(str(plain))
            reader.Read()
            change.SetTransferSyntax(gdcm.TransferSyntax(syntaxes[syntax]))
            change.SetInput(reader.GetImage())
            change.Change()
            writer.SetFileName(str(packed))
            writer.SetFile(reader.GetFile())
            writer.SetImage(change.GetOutput())
            writer.Write()
            file.dataset.PixelData = dcmread(packed).PixelData
            file.dataset["PixelData"].is_undefined_length = True
            file.dataset.file_meta.TransferSyntaxUID = syntax
    return series


def _deflated(series: Series, _: Draws) -> Series:
    for file in series:
        file.dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return series


def _localizer(series: Series, _: Draws) -> Series:
    volume = np.stack([_hu(file.dataset) for file in series])
    scout = _another(series[0], "localizer")
    dataset = scout.dataset
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    dataset.SeriesDescription, dataset.SeriesNumber = "Localizer", "1"
    dataset.SeriesInstanceUID = uid(dataset.SeriesInstanceUID, "localizer")
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "0", "-1"]
    dataset.ImagePositionPatient = series[-1].dataset.ImagePositionPatient
    dataset.PixelSpacing = [dataset.SliceThickness, dataset.PixelSpacing[1]]
    projection = volume[::-1].mean(axis=1).astype(np.int16)
    dataset.Rows, dataset.Columns = projection.shape
    store_pixels(dataset, projection)
    return [scout.named("localizer.dcm"), *series]


def _duplicate_slice(series: Series, draws: Draws) -> Series:
    twin = _another(series[int(draws.uniform(0.2, 0.8) * len(series))], "twin")
    return [*series, twin.named("twin.dcm")]


def _missing_slice(series: Series, draws: Draws) -> Series:
    gone = int(draws.uniform(0.3, 0.7) * len(series))
    return series[:gone] + series[gone + 1 :]


def _truncated(series: Series, draws: Draws) -> Series:
    dataset = series[int(draws.uniform(0.2, 0.8) * len(series))].dataset
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 4 * 2]
    return series


def _zero_spacing(series: Series, _: Draws) -> Series:
    for file in series:
        file.dataset.PixelSpacing = ["0", "0"]
    return series


def _gantry_tilt(series: Series, _: Draws) -> Series:
    first = float(series[0].dataset.ImagePositionPatient[2])
    for file in series:
        x, y, z = (float(value) for value in file.dataset.ImagePositionPatient)
        file.dataset.ImagePositionPatient = [f"{x:g}", f"{y + TILT * (z - first):.6g}", f"{z:g}"]
        file.dataset.GantryDetectorTilt = "12"
    return series


QUIRKS: dict[str, Quirk] = {
    "descending": Quirk("file names run from the head down", _descending),
    "shuffled": Quirk("file names and instance numbers in no order, no suffix", _shuffled),
    "empty-uids": Quirk("study, series and object identifiers empty outside the file meta", _empty_uids),
    "intercept-1000": Quirk("rescale intercept -1000, signed 16-bit pixels", _intercept),
    "padding": Quirk("pixels outside the circle hold the padding value -2000", _padding),
    "rle": Quirk("RLE compressed", _rle),
    "jpeg": Quirk("JPEG lossless compressed", _jpeg),
    "jpegls": Quirk("JPEG-LS lossless compressed", _jpegls),
    "jpeg2000": Quirk("JPEG 2000 lossless compressed", _jpeg2000),
    "deflated": Quirk("deflated transfer syntax", _deflated),
    "localizer": Quirk("a localizer in the folder", _localizer),
    "duplicate-slice": Quirk("one slice twice, under another identifier", _duplicate_slice),
    "missing-slice": Quirk("a slice is missing", _missing_slice, harmless=False),
    "truncated": Quirk("one slice has half its pixels", _truncated, harmless=False),
    "zero-spacing": Quirk("pixel spacing 0", _zero_spacing, harmless=False),
    "gantry-tilt": Quirk("the gantry was tilted by 12 degrees", _gantry_tilt, harmless=False),
}
"""Every quirk by name, in the order in which ``all`` deals them out."""


def _hu(dataset: Dataset) -> npt.NDArray[np.int16]:
    stored = np.frombuffer(dataset.PixelData, dtype="<i2").reshape(dataset.Rows, dataset.Columns)
    return stored + np.int16(int(dataset.RescaleIntercept))


def _another(file: SliceFile, role: str) -> SliceFile:
    twin = SliceFile(file.name, deepcopy(file.dataset))
    twin.dataset.SOPInstanceUID = uid(file.dataset.SOPInstanceUID, role)
    twin.dataset.file_meta.MediaStorageSOPInstanceUID = twin.dataset.SOPInstanceUID
    return twin
