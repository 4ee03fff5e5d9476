"""Any folder: which volumes become cases, and which labels belong to them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.labels import BONES
from osteon.storage.importers import CaseSource, ImportPlan, plan_import
from osteon.storage.readers import Rejected, open_scan, read_labels

Array = npt.NDArray[Any]
Save = Callable[..., Path]
NAMES = {"1": "femur_left", "2": "hip_left"}


def only(plan: ImportPlan) -> CaseSource:
    [case] = plan.cases
    assert isinstance(case, CaseSource), case
    return case


def test_a_folder_with_scan_and_labels_names_the_case(
    tmp_path: Path, save: Save, save_json: Save, hu: Array, labels: Array
) -> None:
    save("case_7/ct.nii.gz", hu)
    save("case_7/labels.nii.gz", labels)
    save_json("labels.json", NAMES)
    plan = plan_import([tmp_path])
    case = only(plan)
    assert (plan.layout, case.case_id) == ("scans", "case_7")
    assert plan.table.names == {BONES.ids[name]: name for name in NAMES.values()}
    assert case.labels is not None
    scan = open_scan(case.scan, scratch=tmp_path / "scratch")
    found = read_labels(case.labels, scan, plan.table).read()
    np.testing.assert_array_equal(found == BONES.ids["hip_left"], labels == 2)


@pytest.mark.parametrize(
    "label", ["x_label.nii.gz", "x_labels.mha", "x_seg.nrrd", "x-seg.nii.gz", "x.seg.nrrd", "x_labels_v2.nii.gz"]
)
def test_labels_named_after_their_scan(
    tmp_path: Path, save: Save, save_json: Save, hu: Array, labels: Array, label: str
) -> None:
    save("x.nii.gz", hu)
    save("xy.nii.gz", hu)
    save(label, labels)
    save_json("labels.json", NAMES)
    plan = plan_import([tmp_path])
    found = {case.scan.name: case.labels for case in plan.cases if isinstance(case, CaseSource)}
    assert found["xy.nii.gz"] is None
    assert found["x.nii.gz"] is not None
    assert found["x.nii.gz"].name == label
    assert len(plan.cases) == 2


def test_labels_without_names_are_refused_with_the_remedy(tmp_path: Path, save: Save, hu: Array, labels: Array) -> None:
    save("ct.nii.gz", hu)
    save("ct_label.nii.gz", labels)
    [found] = plan_import([tmp_path]).cases
    assert isinstance(found, Rejected)
    assert found.code == "no-label-names"
    assert "--labels-map" in found.reason


def test_two_label_files_of_one_scan_are_refused(
    tmp_path: Path, save: Save, save_json: Save, hu: Array, labels: Array
) -> None:
    save("ct.nii.gz", hu)
    save("ct_label.nii.gz", labels)
    save("ct_seg.nii.gz", labels)
    save_json("labels.json", NAMES)
    [found] = plan_import([tmp_path]).cases
    assert isinstance(found, Rejected)
    assert found.code == "several-labels"


def test_label_files_of_no_scan_are_named_and_left(tmp_path: Path, save: Save, hu: Array, labels: Array) -> None:
    save("a.nii.gz", hu)
    save("b.nii.gz", hu)
    save("mask.nii.gz", labels)
    plan = plan_import([tmp_path])
    assert len(plan.cases) == 2
    assert all(isinstance(case, CaseSource) and case.labels is None and case.case_id is None for case in plan.cases)
    assert plan.notes == (f"{tmp_path / 'mask.nii.gz'}: looks like labels, but of no scan here",)


def test_masks_belong_to_the_scan_on_their_grid(tmp_path: Path, save: Save, hu: Array, labels: Array) -> None:
    save("whole.nii.gz", hu)
    save("part.nii.gz", hu[:3])
    save("segmentations/femur_left.nii.gz", (labels == 1).astype(np.uint8))
    plan = plan_import([tmp_path], layout="scans")
    found = {case.scan.name: case.labels for case in plan.cases if isinstance(case, CaseSource)}
    assert found["part.nii.gz"] is None
    assert found["whole.nii.gz"] is not None
    assert found["whole.nii.gz"].kind == "masks"


def test_given_labels_need_one_scan(save: Save, save_json: Save, hu: Array, labels: Array) -> None:
    scan, label = save("a.nii.gz", hu), save("somewhere/drawn.nii.gz", labels)
    names = save_json("names.json", {"femur_left": 1, "hip_left": 2})
    case = only(plan_import([scan], labels=label, labels_map=names))
    assert case.labels is not None
    assert case.labels.files == (str(label),)


@pytest.mark.realdata
def test_a_dicom_folder_with_labels_beside_it(
    tmp_path: Path, real_data: Path, save: Save, save_json: Save, labels: Array
) -> None:
    for subject in ("subject-1", "subject-2"):
        shutil.copytree(real_data / "dcmqi-ct3-dicomseg" / "ct-3slice", tmp_path / subject / "ct")
    save("subject-1/labels.nii.gz", labels)
    save_json("labels.json", NAMES)
    plan = plan_import([tmp_path])
    assert [(c.case_id, c.labels is not None) for c in plan.cases if isinstance(c, CaseSource)] == [
        ("subject-1", True),
        (None, False),
    ]
    assert only(plan_import([tmp_path / "subject-1" / "ct"])).labels is None  # nothing outside of the source counts
