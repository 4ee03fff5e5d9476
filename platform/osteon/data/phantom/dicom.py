"""A phantom as a DICOM series: one CT Image Storage object per slice, as a scanner would send them.

Identifiers are derived from the seed, so that the same phantom is the same files. There is no patient: name and id are
the case's own.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from osteon.core.geometry import Grid

USUAL_INTERCEPT = -1024


@dataclass(frozen=True)
class SliceFile:
    """One file of a series, not yet written.

    Attributes:
        name: file name.
        dataset: what it holds, file meta included.
    """

    name: str
    dataset: Dataset

    def named(self, name: str) -> SliceFile:
        """The same file under another name."""
        return replace(self, name=name)

    def to_bytes(self) -> bytes:
        """The file."""
        buffer = io.BytesIO()
        dcmwrite(buffer, self.dataset, enforce_file_format=True)
        return buffer.getvalue()


def uid(*key: object) -> UID:
    """An identifier under the root for UUIDs, 2.25, derived from a key."""
    digest = hashlib.sha256("/".join(map(str, ("osteon phantom", *key))).encode()).digest()
    return UID(f"2.25.{int.from_bytes(digest[:16], 'big')}")


def to_series(case_id: str, hu: npt.NDArray[np.int16], grid: Grid, key: Iterable[int]) -> list[SliceFile]:
    """The slices of a scan, lowest first, named in that order.

    Args:
        case_id: goes into name and id of the patient.
        hu: int16, z, y, x, -1024 to 3071.
        grid: axis-aligned.
        key: what the identifiers are derived from.
    """
    common = _common(case_id, grid, tuple(key))
    return [
        SliceFile(f"slice-{number + 1:04d}.dcm", _slice(common, plane, grid, number, tuple(key)))
        for number, plane in enumerate(hu)
    ]


def store_pixels(dataset: Dataset, hu: npt.NDArray[np.int16], intercept: int = USUAL_INTERCEPT) -> None:
    """Set a slice's pixels: unsigned 12 bits with the usual intercept if they fit, else signed 16 bits."""
    stored = hu.astype(np.int32) - intercept
    unsigned = intercept == USUAL_INTERCEPT and int(stored.min()) >= 0
    dataset.BitsAllocated, dataset.BitsStored = 16, 12 if unsigned else 16
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0 if unsigned else 1
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = str(intercept), "1", "HU"
    dataset.PixelData = stored.astype("<i2").tobytes()


def _common(case_id: str, grid: Grid, key: tuple[int, ...]) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.StudyDate = dataset.SeriesDate = dataset.AcquisitionDate = dataset.ContentDate = "20000101"
    dataset.StudyTime = dataset.SeriesTime = dataset.AcquisitionTime = dataset.ContentTime = "120000"
    dataset.AccessionNumber = ""
    dataset.Modality = "CT"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Osteon", "digital phantom"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription, dataset.SeriesDescription = "Digital phantom", "Axial"
    dataset.PatientName, dataset.PatientID = f"PHANTOM^{case_id}", case_id
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.KVP, dataset.GantryDetectorTilt, dataset.ConvolutionKernel = "120", "0", "STANDARD"
    dataset.SliceThickness = dataset.SpacingBetweenSlices = f"{grid.spacing_mm[0]:g}"
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid(*key, "study"), uid(*key, "series")
    dataset.StudyID, dataset.SeriesNumber, dataset.AcquisitionNumber = "1", "2", "1"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = uid(*key, "frame"), ""
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = grid.shape[1:]
    dataset.PixelSpacing = [f"{step:g}" for step in grid.spacing_mm[1:]]
    dataset.WindowCenter, dataset.WindowWidth = "300", "1500"
    return dataset


def _slice(common: Dataset, plane: npt.NDArray[np.int16], grid: Grid, number: int, key: tuple[int, ...]) -> Dataset:
    dataset = deepcopy(common)  # Dataset(common) would share its elements
    dataset.SOPInstanceUID, dataset.InstanceNumber = uid(*key, "slice", number), number + 1
    z, y, x = grid.position_mm((number, 0, 0))
    dataset.ImagePositionPatient = [f"{value:g}" for value in (x, y, z)]
    dataset.SliceLocation = f"{z:g}"
    store_pixels(dataset, plane)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CTImageStorage, dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID, meta.ImplementationVersionName = uid("implementation"), "OSTEON PHANTOM"
    dataset.file_meta = meta
    return dataset
