"""Real scans through a whole ingest: the right bones, the very voxels."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest

from osteon.jobs.ingest import ingest
from osteon.storage.case import StoredCase
from osteon.storage.dataset import Dataset
from osteon.storage.importers import plan_import

pytestmark = pytest.mark.realdata

SIDES = ("left", "right")
BONES = {
    *(f"vertebrae_{name}" for name in ("T11", "T12", "L1", "L2", "L3", "L4", "L5")),
    *(f"rib_{side}_{number}" for side in SIDES for number in range(7, 13)),
    *(f"{name}_{side}" for name in ("hip", "femur") for side in SIDES),
    "sacrum",
}
DICOM_FOLDERS = [
    "crlm1004-abdomen-5mm-dicom/dicom",
    "ts-upper-abdomen-dicom-j2k/dicom",
    "sts001-thigh-rtstruct/CT/dicom/image",
]


def only_case(source: Path, url: Path, labels: Path | None = None, labels_map: Path | None = None) -> StoredCase:
    summary = ingest(
        plan_import([source], labels=labels, labels_map=labels_map), str(url), scheduler="threads", num_workers=2
    )
    assert summary.count("ingested") == 1, summary
    assert summary.count("quarantined") == 0, summary
    dataset = Dataset.open(str(url))
    (case_id,) = dataset.case_ids()
    return dataset.case(case_id)


def voxels(case: StoredCase) -> npt.NDArray[np.generic]:
    return case.image().read((0, 0, 0), case.grid.shape).result()


def present(case: StoredCase) -> set[str]:
    return {case.table.names[label] for label in case.foreground.counts}


def test_the_24_bones_from_masks_and_from_a_labelmap(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "ts-abdomen-pelvis-nifti"
    masks = only_case(source, tmp_path / "masks")
    labels, names = source / "label_v1_uint8.nii.gz", source / "labels_v1.json"
    labelmap = only_case(source / "example_ct.nii.gz", tmp_path / "labelmap", labels, names)
    assert present(masks) == present(labelmap) == BONES
    np.testing.assert_array_equal(voxels(masks), voxels(labelmap))


@pytest.mark.parametrize("folder", DICOM_FOLDERS)
def test_dicom_voxels_are_pydicoms(folder: str, real_data: Path, tmp_path: Path) -> None:
    files = [pydicom.dcmread(path) for path in (real_data / folder).rglob("*") if path.is_file()]
    slices = {float(file.ImagePositionPatient[2]): file for file in files if "PixelData" in file}
    case = only_case(real_data / folder, tmp_path / "ds")
    stored = voxels(case)
    assert len(slices) == case.grid.shape[0]
    for z, plane in enumerate(stored):
        patient_z = float(case.grid.position_mm((z, 0, 0))[0])
        file = slices[min(slices, key=lambda position: abs(position - patient_z))]
        expected = file.pixel_array * float(file.RescaleSlope) + float(file.RescaleIntercept)
        np.testing.assert_array_equal(plane, expected)


def test_a_dicom_series_equals_its_nifti_twin(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "sts001-thigh-rtstruct" / "CT"
    dicom = only_case(source / "dicom" / "image", tmp_path / "dicom")
    nifti = only_case(source / "nifti" / "image", tmp_path / "nifti")
    np.testing.assert_array_equal(voxels(dicom), voxels(nifti))
    assert dicom.grid.matches(nifti.grid, tolerance_mm=0.05)
