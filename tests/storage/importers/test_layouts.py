"""Public datasets: their own folders, names, ids and splits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.labels import BONES
from osteon.storage.importers import CaseSource, ImportPlan, Split, plan_import
from osteon.storage.readers import Rejected, open_scan, read_labels

Array = npt.NDArray[Any]
Save = Callable[..., Path]


def ids(plan: ImportPlan) -> dict[str | None, bool]:
    """Whether a case has labels, by its id."""
    return {case.case_id: case.labels is not None for case in plan.cases if isinstance(case, CaseSource)}


@pytest.fixture
def nnunet(tmp_path: Path, save: Save, save_json: Save, hu: Array, labels: Array) -> Path:
    root = "Dataset042_Bones"
    for name in ("case_001", "case_002"):
        save(f"{root}/imagesTr/{name}_0000.nii.gz", hu)
        save(f"{root}/labelsTr/{name}.nii.gz", labels)
    save(f"{root}/imagesTs/case_003_0000.nii.gz", hu)
    save_json(
        f"{root}/dataset.json",
        {
            "channel_names": {"0": "CT"},
            "labels": {"background": 0, "femur_left": 1, "hip_left": 2},
            "numTraining": 2,
            "file_ending": ".nii.gz",
        },
    )
    save_json(f"{root}/splits_final.json", [{"train": ["case_001"], "val": ["case_002"]}])
    return tmp_path / root


class TestNnunet:
    def test_cases_labels_and_splits(self, nnunet: Path, tmp_path: Path, labels: Array) -> None:
        plan = plan_import([nnunet])
        assert plan.layout == "nnunet"
        assert ids(plan) == {"case_001": True, "case_002": True, "case_003": False}
        assert plan.splits == (Split(("case_001",), ("case_002",)),)
        case = plan.cases[0]
        assert isinstance(case, CaseSource)
        assert case.labels is not None
        scan = open_scan(case.scan, scratch=tmp_path / "scratch")
        found = read_labels(case.labels, scan, plan.table).read()
        np.testing.assert_array_equal(found, np.take([0, BONES.ids["femur_left"], BONES.ids["hip_left"]], labels))

    def test_an_image_without_labels_is_rejected(self, nnunet: Path) -> None:
        (nnunet / "labelsTr" / "case_002.nii.gz").unlink()
        assert [c.code for c in plan_import([nnunet]).cases if isinstance(c, Rejected)] == ["no-labels"]

    @pytest.mark.parametrize(
        ("key", "value", "code"),
        [
            ("channel_names", {"0": "MRI"}, "not-ct"),
            ("channel_names", {"0": "CT", "1": "PET"}, "not-ct"),
            ("labels", {"background": 0, "leg": [1, 2]}, "label-regions"),
            ("labels", {"background": 0, "ignore": 2}, "label-regions"),
            ("labels", {"background": 0, "femur": "one"}, "bad-label-map"),
            ("file_ending", 7, "bad-json"),
        ],
    )
    def test_what_it_cannot_mean_is_refused(
        self, nnunet: Path, save_json: Save, key: str, value: object, code: str
    ) -> None:
        description = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "femur_left": 1}}
        save_json(nnunet / "dataset.json", description | {key: value})
        with pytest.raises(BadInput) as caught:
            plan_import([nnunet], layout="nnunet")
        assert caught.value.code == code

    def test_broken_json_is_refused(self, nnunet: Path) -> None:
        (nnunet / "splits_final.json").write_text('[{"train": 7}]')
        with pytest.raises(BadInput) as caught:
            plan_import([nnunet])
        assert caught.value.code == "bad-json"


class TestMsd:
    @pytest.fixture
    def task(self, tmp_path: Path, save: Save, save_json: Save, hu: Array, labels: Array) -> Path:
        save("Task99/imagesTr/leg_1.nii.gz", hu)
        save("Task99/labelsTr/leg_1.nii.gz", labels)
        save("Task99/imagesTs/leg_2.nii.gz", hu)
        save_json("Task99/dataset.json", self.description())
        return tmp_path / "Task99"

    @staticmethod
    def description(**changes: object) -> dict[str, object]:
        return {
            "modality": {"0": "CT"},
            "labels": {"0": "background", "1": "femur_left", "2": "hip_left"},
            "training": [{"image": "./imagesTr/leg_1.nii.gz", "label": "./labelsTr/leg_1.nii.gz"}],
            "test": ["./imagesTs/leg_2.nii.gz"],
        } | changes

    def test_cases_and_labels(self, task: Path) -> None:
        plan = plan_import([task])
        assert plan.layout == "msd"
        assert ids(plan) == {"leg_1": True, "leg_2": False}
        assert set(plan.table.ids) == {"femur_left", "hip_left"}

    @pytest.mark.parametrize("image", ["../secret.nii.gz", "/etc/passwd", "imagesTr/none.nii.gz", 7])
    def test_entries_that_lead_elsewhere_are_rejected(
        self, task: Path, save: Save, save_json: Save, hu: Array, image: object
    ) -> None:
        save("secret.nii.gz", hu)
        save_json(task / "dataset.json", self.description(training=[{"image": image, "label": image}], test=[]))
        [found] = plan_import([task]).cases
        assert isinstance(found, Rejected)
        assert found.code == "no-scan"

    def test_another_modality_is_refused(self, task: Path, save_json: Save) -> None:
        save_json(task / "dataset.json", self.description(modality={"0": "MRI"}))
        with pytest.raises(BadInput) as caught:
            plan_import([task])
        assert caught.value.code == "not-ct"


class TestTotalSegmentator:
    @pytest.fixture
    def root(self, tmp_path: Path, save: Save, hu: Array, labels: Array) -> Path:
        for subject in ("s0000", "s0001"):
            save(f"ts/{subject}/ct.nii.gz", hu)
            for id_, name in enumerate(["femur_left", "hip_left", "liver"]):
                save(f"ts/{subject}/segmentations/{name}.nii.gz", (labels == id_ + 1).astype(np.uint8))
        (tmp_path / "ts" / "meta.csv").write_text("image_id;age;split\ns0000;50;train\ns0001;60;val\ns0002;70;test\n")
        return tmp_path / "ts"

    def test_subjects_and_split(self, root: Path) -> None:
        plan = plan_import([root])
        assert plan.layout == "totalsegmentator"
        assert ids(plan) == {"s0000": True, "s0001": True}
        assert plan.splits == (Split(("s0000",), ("s0001",)),)
        assert set(plan.table.ids) == {"femur_left", "hip_left"}

    def test_one_subject_alone(self, root: Path, save: Save, hu: Array) -> None:
        (root / "s0001" / "ct.nii.gz").rename(root / "s0001" / "thigh.nii.gz")
        save("ts/s0001/small.nii.gz", hu[:2])
        plan = plan_import([root / "s0001"])
        assert ids(plan) == {"s0001": True}
        assert plan.notes == (f"{root / 's0001' / 'small.nii.gz'}: passed over, the masks belong to thigh.nii.gz",)

    def test_a_subject_without_scan_is_rejected(self, root: Path) -> None:
        (root / "s0000" / "ct.nii.gz").unlink()
        plan = plan_import([root])
        assert [case.code for case in plan.cases if isinstance(case, Rejected)] == ["no-scan"]
        assert ids(plan) == {"s0001": True}


class TestVerse:
    def test_ids_become_vertebrae(self, tmp_path: Path, save: Save, hu: Array, labels: Array) -> None:
        vertebrae = np.take(np.array([0, 8, 25], np.uint8), labels)
        vertebrae[0, 0, 0] = 28
        save("verse/rawdata/sub-verse004/sub-verse004_ct.nii.gz", hu)
        save("verse/derivatives/sub-verse004/sub-verse004_seg-vert_msk.nii.gz", vertebrae)
        save("verse/rawdata/sub-verse005/sub-verse005_dir-ax_ct.nii.gz", hu)
        plan = plan_import([tmp_path / "verse"])
        assert plan.layout == "verse"
        case, rejected = plan.cases
        assert isinstance(case, CaseSource)
        assert isinstance(rejected, Rejected)
        assert (case.case_id, rejected.code) == ("sub-verse004", "no-labels")
        assert case.labels is not None
        scan = open_scan(case.scan, scratch=tmp_path / "scratch")
        found = read_labels(case.labels, scan, plan.table)
        assert [plan.table.names[id_] for id_ in found.ids] == ["vertebrae_T1", "vertebrae_T13", "vertebrae_L6"]
        np.testing.assert_array_equal(found.read() == BONES.ids["vertebrae_L6"], vertebrae == 25)


def test_an_unknown_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="auto, scans, nnunet, msd, totalsegmentator, verse"):
        plan_import([tmp_path], layout="kits")


def test_a_missing_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        plan_import([tmp_path / "nowhere"])
    assert caught.value.code == "no-source"


def test_sources_of_several_layouts_are_joined(nnunet: Path, save: Save, hu: Array) -> None:
    plan = plan_import([nnunet, save("else/ct.mha", hu)])
    assert plan.layout == "nnunet+scans"
    assert len(plan.cases) == 4
