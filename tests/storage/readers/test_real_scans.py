"""Real scans of several scanners and archives, against pydicom's own decoding and against each other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import SimpleITK as sitk  # its own documentation's name

from osteon.core.geometry import Grid
from osteon.storage.readers import Rejected, Scan, ScanSource, find_scans, open_scan

pytestmark = pytest.mark.realdata

Open = Callable[..., Scan]
FOLDERS = {
    "crlm1004-abdomen-5mm-dicom/dicom": (41, 512, 512),
    "dcmqi-ct3-dicomseg/ct-3slice": (3, 512, 512),
    "dcmqi-ct3-dicomseg/24x38x3/image": (3, 38, 24),
    "sts001-thigh-rtstruct/CT/dicom/image": (59, 202, 198),
    "ts-upper-abdomen-dicom-j2k/dicom": (20, 512, 512),
}
PHI = (
    "PatientName", "PatientID", "StudyDate", "InstitutionName", "InstitutionAddress", "StationName", "AccessionNumber",
    "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "PatientBirthDate",
)  # fmt: skip


def hu_of(dataset: pydicom.Dataset) -> npt.NDArray[np.float64]:
    """HU as pydicom decodes and rescales them."""
    return np.asarray(dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept))


@pytest.mark.parametrize("folder", FOLDERS)
def test_pixels_equal_pydicoms(real_data: Path, open_one: Open, folder: str) -> None:
    scan = open_one(real_data / folder)
    assert scan.grid.shape == FOLDERS[folder]
    voxels = scan.read()
    seen = set()
    for file in (real_data / folder).iterdir():
        dataset = pydicom.dcmread(file)
        index = scan.grid.index_of([float(value) for value in dataset.ImagePositionPatient[::-1]])
        assert index == pytest.approx(np.rint(index), abs=0.02)
        z, y, x = np.rint(index).astype(int)
        assert (y, x) == (0, 0)  # every folder is axial, rows to the left, columns to the back
        np.testing.assert_array_equal(voxels[z], hu_of(dataset))
        seen.add(z)
    assert seen == set(range(len(voxels)))


@pytest.mark.parametrize("folder", FOLDERS)
def test_nothing_of_the_patient_is_kept(real_data: Path, open_one: Open, folder: str) -> None:
    kept = repr(open_one(real_data / folder).provenance)
    file = next((real_data / folder).iterdir())
    dataset = pydicom.dcmread(file, stop_before_pixels=True)
    assert file.name not in kept
    for keyword in PHI:
        value = str(dataset.get(keyword, ""))
        assert len(value) < 4 or value not in kept  # shorter ones, like the id "1", occur in numbers


def test_a_multi_frame_file_equals_its_single_frames(real_data: Path, open_one: Open) -> None:
    folder = real_data / "dcmqi-ct3-dicomseg" / "24x38x3"
    single, multi = open_one(folder / "image"), open_one(folder / "multiframe")
    np.testing.assert_array_equal(multi.read(), single.read())
    assert multi.grid.matches(single.grid, 1e-4)


def test_a_dicom_series_equals_its_nifti_twin(real_data: Path, open_one: Open) -> None:
    folder = real_data / "sts001-thigh-rtstruct" / "CT"
    dicom, nifti = open_one(folder / "dicom" / "image"), open_one(folder / "nifti" / "image")
    np.testing.assert_array_equal(dicom.read(), nifti.read())
    assert dicom.grid.matches(nifti.grid, 1e-2)


def test_every_transfer_syntax_of_one_slice(real_data: Path, scratch: Path) -> None:
    folder = real_data / "wg04-ct1-transfer-syntaxes"
    reference = hu_of(pydicom.dcmread(folder / "CT1_UNC.dcm"))
    for name in ("UNC", "RLE", "JPLL", "JLSL", "J2KR", "JLSN", "J2KI"):
        [source] = find_scans(folder / f"CT1_{name}.dcm")
        assert isinstance(source, ScanSource)
        scan = open_scan(source, scratch=scratch)
        lossy = any(note.startswith("lossy: ") for note in scan.provenance.corrections)
        assert lossy == (name in {"JLSN", "J2KI"})
        if not lossy:
            np.testing.assert_array_equal(scan.read()[0], reference)
        np.testing.assert_array_equal(scan.read()[0], hu_of(pydicom.dcmread(folder / f"CT1_{name}.dcm")))


def test_a_folder_of_mixed_encodings_is_split_by_what_they_lost(real_data: Path, scratch: Path) -> None:
    findings = find_scans(real_data / "wg04-ct1-transfer-syntaxes")
    names = [sorted(Path(file).stem[4:] for file in found.files) for found in findings if isinstance(found, ScanSource)]
    assert sorted(names) == [["J2KI"], ["J2KR", "JLSL", "JPLL"], ["JLSN"], ["RLE"], ["UNC"]]
    for found in findings:
        assert isinstance(found, ScanSource)
        assert open_scan(found, scratch=scratch).grid.shape == (1, 512, 512)


def test_structure_sets_and_segmentations_are_set_aside(real_data: Path) -> None:
    for folder, count in (("sts001-thigh-rtstruct/CT/dicom/mask", 1), ("dcmqi-ct3-dicomseg", 3)):
        set_aside = [found for found in find_scans(real_data / folder) if isinstance(found, Rejected)]
        assert [found.code for found in set_aside] == ["not-ct"] * count


@pytest.mark.parametrize("name", ["3DCT_lung.mha", "3DCT_lung_baseline_small.mha"])
def test_metaimage_equals_simpleitk(real_data: Path, open_one: Open, name: str) -> None:
    path = real_data / "elastix-lung-mha" / name
    scan, image = open_one(path), sitk.ReadImage(str(path))
    np.testing.assert_array_equal(scan.read(), sitk.GetArrayFromImage(image))
    expected = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert scan.grid.matches(expected, 1e-6)


@pytest.mark.parametrize("name", ["ts-abdomen-pelvis-nifti/example_ct.nii.gz", "ts-thorax-cta-crop/ct_cropped.nii.gz"])
def test_nifti_equals_nibabel(real_data: Path, open_one: Open, name: str) -> None:
    scan = open_one(real_data / name)
    image = nibabel.as_closest_canonical(nibabel.load(real_data / name))  # type: ignore[no-untyped-call]
    np.testing.assert_array_equal(scan.read(), np.asarray(image.dataobj)[::-1, ::-1].T)
