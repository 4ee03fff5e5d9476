"""Tiny scans made on the spot by other people's writers: pydicom, GDCM, nibabel, SimpleITK."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from osteon.storage.readers import Rejected, Scan, ScanSource, find_scans, open_scan

Hu = npt.NDArray[np.int16]
Nifti: Any = nibabel.Nifti1Image  # nibabel is typed in part only
Tweak = Callable[[Dataset, int], None]


@pytest.fixture
def hu() -> Hu:
    """A volume of 6 x 9 x 8 voxels, air to bone, no two slices alike."""
    return np.random.default_rng(7).integers(-1000, 1500, (6, 9, 8)).astype(np.int16)


@pytest.fixture
def slice_dataset() -> Callable[..., FileDataset]:
    """One CT slice: ``(hu_yx, number, uid)`` gives slice ``number`` of a series 2 mm apart, pixels 0.5 x 0.7 mm."""

    def make(hu_yx: Hu, number: int, series: str, syntax: UID = ExplicitVRLittleEndian) -> FileDataset:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = syntax
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        little = syntax != ExplicitVRBigEndian
        ds = FileDataset(
            "", {}, bytes(128), meta, is_implicit_VR=syntax == ImplicitVRLittleEndian, is_little_endian=little
        )
        ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.FrameOfReferenceUID = "1.2.3", series, "1.2.4"
        ds.Modality, ds.ImageType, ds.InstanceNumber = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], number + 1
        ds.PatientName, ds.PatientID, ds.PatientBirthDate = "Doe^Jane", "SECRET-77", "19500101"
        ds.StudyDate, ds.InstitutionName, ds.AccessionNumber = "20200101", "St. Elsewhere", "ACC-99"
        ds.KVP, ds.Manufacturer, ds.ConvolutionKernel, ds.SliceThickness = "120", "Phantom Works", "B30f", "2.0"
        ds.ImagePositionPatient = [-10.0, -20.0, 100.0 + 2.0 * number]
        ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        ds.PixelSpacing = [0.5, 0.7]
        ds.Rows, ds.Columns = hu_yx.shape
        ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
        ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
        ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-24", "1", "HU"
        ds.PixelData = (hu_yx + 24).astype("<i2" if little else ">i2").tobytes()
        ds["PixelData"].VR = "OW"
        return ds

    return make


@pytest.fixture
def write_series(tmp_path: Path, slice_dataset: Callable[..., FileDataset]) -> Callable[..., Path]:
    """Write a volume as a DICOM series; ``tweak(dataset, number)`` may change each slice before it is saved."""

    def write(
        hu: Hu, tweak: Tweak | None = None, *, syntax: UID = ExplicitVRLittleEndian, name: str = "series"
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        series = generate_uid()
        for number, plane in enumerate(hu):
            dataset = slice_dataset(plane, number, series, syntax)
            if tweak is not None:
                tweak(dataset, number)
            dataset.save_as(folder / f"IM{number:04}", enforce_file_format=True)
        return folder

    return write


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    return tmp_path / "scratch"


@pytest.fixture
def open_one(scratch: Path) -> Callable[..., Scan]:
    """Open the only volume in a file or folder."""

    def open_it(path: Path, *, allow_gaps: bool = False) -> Scan:
        [source] = find_scans(path)
        assert isinstance(source, ScanSource), source
        return open_scan(source, scratch=scratch, allow_gaps=allow_gaps)

    return open_it


@pytest.fixture
def rejected() -> Callable[[Path], list[Rejected]]:
    """What `find_scans` set aside."""
    return lambda path: [found for found in find_scans(path) if isinstance(found, Rejected)]


@pytest.fixture
def write_nifti(tmp_path: Path) -> Callable[..., Path]:
    """Write a (z, y, x) array as NIfTI, in LPS order by default; ``edit(header)`` may change what nibabel saves."""

    def write(
        array_zyx: npt.NDArray[Any],
        affine: npt.ArrayLike | None = None,
        edit: Callable[[Any], None] | None = None,
        name: str = "ct.nii.gz",
    ) -> Path:
        place = np.diag([-0.7, -0.5, 2.0, 1.0]) if affine is None else np.asarray(affine)
        image = Nifti(array_zyx.T, place, dtype=array_zyx.dtype)
        if edit is not None:
            edit(image.header)
        image.to_filename(tmp_path / name)
        return tmp_path / name

    return write


@pytest.fixture
def patch_header() -> Callable[..., None]:
    """Overwrite bytes of a NIfTI header, inside of the gzip stream if need be."""

    def patch(path: Path, offset: int, data: bytes) -> None:
        packed = path.name.endswith(".gz")
        content = bytearray(gzip.decompress(path.read_bytes()) if packed else path.read_bytes())
        content[offset : offset + len(data)] = data
        path.write_bytes(gzip.compress(bytes(content)) if packed else bytes(content))

    return patch
