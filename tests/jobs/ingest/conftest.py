"""Tiny scans on disk for the ingest tests, and what to compare datasets by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, RLELossless, generate_uid

LABELS = {1: "femur_left", 2: "vertebrae_L3"}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """An empty folder for scans, with the names of the label values."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "labels.json").write_text(json.dumps(LABELS))
    return folder


@pytest.fixture
def add_scan(scans: Path) -> Callable[..., Path]:
    """Writes a case as the phantom does: ``<id>/ct.nii.gz`` and ``<id>/labels.nii.gz``; gives the scan's path."""

    def add(case_id: str, *, slices: int = 70, side: int = 72, seed: int = 0, suffix: str = ".nii.gz") -> Path:
        folder = scans / case_id
        folder.mkdir()
        bones = np.zeros((slices, side, side - 8), np.uint8)
        bones[slices // 4 : slices // 2, 10:30, 10:30] = 1
        bones[slices // 2 :, 20:40, 20:40] = 2
        rng = np.random.default_rng(seed)
        hu = rng.integers(-1000, 200, bones.shape, dtype=np.int16) + np.int16(900) * (bones > 0)
        _write(folder / f"labels{suffix}", bones)
        return _write(folder / f"ct{suffix}", hu)

    return add


@pytest.fixture
def add_series(scans: Path) -> Callable[..., list[Path]]:
    """Writes an RLE-compressed DICOM series of small slices into ``<id>/ct``; gives the files in order of position."""

    def add(case_id: str, *, slices: int = 70, side: int = 32) -> list[Path]:
        folder = scans / case_id / "ct"
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        series = generate_uid()
        paths = [folder / f"{number:03d}.dcm" for number in range(slices)]
        for number, path in enumerate(paths):
            pixels = rng.integers(0, 2000, (side, side), dtype=np.uint16)
            _slice(series, number, pixels).save_as(path, enforce_file_format=True)
        labels = np.zeros((slices, side, side), np.uint8)
        labels[10:20, 10:20, 10:20] = 1
        _write(folder.parent / "labels.nii.gz", labels, spacing=(0.8, 0.8, 1.0), signs=(1, 1, 1))
        return paths

    return add


def _slice(series: str, number: int, pixels: npt.NDArray[np.uint16]) -> Dataset:
    result = Dataset()
    result.file_meta = FileMetaDataset()
    result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    result.SOPClassUID = CTImageStorage
    result.SOPInstanceUID = generate_uid()
    result.SeriesInstanceUID = series
    result.Modality = "CT"
    result.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    result.ImagePositionPatient = [0.0, 0.0, float(number)]
    result.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    result.PixelSpacing = [0.8, 0.8]
    result.RescaleSlope, result.RescaleIntercept = 1, -1024
    result.Rows, result.Columns = pixels.shape
    result.SamplesPerPixel, result.PhotometricInterpretation = 1, "MONOCHROME2"
    result.BitsAllocated, result.BitsStored, result.HighBit, result.PixelRepresentation = 16, 16, 15, 0
    result.PixelData = pixels.tobytes()
    result.compress(RLELossless)
    return result


def _write(
    path: Path,
    array: npt.NDArray[Any],
    spacing: tuple[float, float, float] = (0.8, 0.8, 1.5),
    signs: tuple[int, int, int] = (-1, -1, 1),
) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing)
    image.SetDirection(np.diag(signs).astype(float).ravel())
    sitk.WriteImage(image, str(path))
    return path
