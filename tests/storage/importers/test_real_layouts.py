"""Real scans with labels in three forms: the same bones with the right names, where bone is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osteon.storage.importers import CaseSource, ImportPlan, plan_import
from osteon.storage.readers import LabelScan, Scan, open_scan, read_labels

pytestmark = pytest.mark.realdata

BONES_24 = {
    *(f"vertebrae_{name}" for name in ("T11", "T12", "L1", "L2", "L3", "L4", "L5")), "sacrum",
    *(f"rib_{side}_{k}" for side in ("left", "right") for k in range(7, 13)),
    "hip_left", "hip_right", "femur_left", "femur_right",
}  # fmt: skip


def open_only(plan: ImportPlan, scratch: Path) -> tuple[CaseSource, Scan, LabelScan]:
    [case] = [case for case in plan.cases if isinstance(case, CaseSource)]
    assert case.labels is not None
    scan = open_scan(case.scan, scratch=scratch)
    return case, scan, read_labels(case.labels, scan, plan.table)


def mean_hu(plan: ImportPlan, scan: Scan, labels: LabelScan) -> dict[str, float]:
    """Mean HU by name of every label that occurs."""
    hu, ids = scan.read(), labels.read()
    return {plan.table.names[id_]: float(hu[ids == id_].mean()) for id_ in labels.ids}


@pytest.mark.parametrize("layout", ["totalsegmentator", "auto"])
def test_a_totalsegmentator_subject(real_data: Path, tmp_path: Path, layout: str) -> None:
    plan = plan_import([real_data / "ts-abdomen-pelvis-nifti"], layout=layout)
    case, scan, labels = open_only(plan, tmp_path)
    assert case.scan.name == "example_ct.nii.gz"
    assert case.case_id == "ts-abdomen-pelvis-nifti"
    found = mean_hu(plan, scan, labels)
    assert set(found) == BONES_24
    assert all(mean > 120 for mean in found.values())


def test_scan_labelmap_and_names(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "ts-abdomen-pelvis-nifti"
    plan = plan_import(
        [folder / "example_ct.nii.gz"], labels=folder / "label_v1_uint8.nii.gz", labels_map=folder / "labels_v1.json"
    )
    _, scan, labels = open_only(plan, tmp_path)
    assert set(mean_hu(plan, scan, labels)) == BONES_24
    masks = plan_import([folder], layout="totalsegmentator")
    np.testing.assert_array_equal(labels.read(), open_only(masks, tmp_path)[2].read())


def test_labels_stored_as_float64(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "ts-abdomen-pelvis-nifti"
    plan = plan_import(
        [folder / "example_ct.nii.gz"], labels=folder / "label_v1_float64.nii.gz", labels_map=folder / "labels_v1.json"
    )
    assert {plan.table.names[id_] for id_ in open_only(plan, tmp_path)[2].ids} >= BONES_24


def test_labels_flipped_against_their_dicom_scan(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "ts-upper-abdomen-dicom-j2k"
    plan = plan_import([folder / "dicom"], labels=folder / "label_v2.nii.gz", labels_map=folder / "labels_v2.json")
    _, scan, labels = open_only(plan, tmp_path)
    found = mean_hu(plan, scan, labels)
    assert len(found) == 18
    assert all(mean > 150 for mean in found.values())


def test_segments_of_a_real_prediction(real_data: Path) -> None:
    folder = real_data / "totalseg-s0327-labels-rotated"
    plan = plan_import([real_data / "elastix-lung-mha" / "3DCT_lung.mha"], labels=folder / "ct327_seg_pred.nrrd")
    assert {"femur_left", "hip_right", "sacrum", "vertebrae_L3", "rib_left_7"} <= set(plan.table.ids)
    assert not {"liver", "aorta", "adrenal_gland_right"} & set(plan.table.ids)


@pytest.mark.parametrize(
    ("folder", "cases"),
    [
        ("crlm1004-abdomen-5mm-dicom", 1),
        ("dcmqi-ct3-dicomseg/ct-3slice", 1),
        ("dcmqi-ct3-dicomseg/24x38x3/image", 1),
        ("dcmqi-ct3-dicomseg/24x38x3/multiframe", 1),
        ("sts001-thigh-rtstruct/CT/dicom", 1),
        ("ts-upper-abdomen-dicom-j2k/dicom", 1),
        ("wg04-ct1-transfer-syntaxes", 5),
    ],
)
def test_every_dicom_folder_makes_cases(real_data: Path, tmp_path: Path, folder: str, cases: int) -> None:
    plan = plan_import([real_data / folder], layout="scans")
    found = [case for case in plan.cases if isinstance(case, CaseSource)]
    assert len(found) == cases
    for case in found:
        assert open_scan(case.scan, scratch=tmp_path).grid.num_voxels > 0
