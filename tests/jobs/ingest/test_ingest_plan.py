"""What an ingest says it would do, and what it keeps of its sources' own folds."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from osteon.core.errors import BadInput, OsteonError
from osteon.core.labels import LabelTable
from osteon.jobs.ingest import ingest
from osteon.jobs.ingest_plan import check_plan, preview, set_aside
from osteon.jobs.ingest_summary import IngestSummary
from osteon.storage.importers import CaseSource, ImportPlan, plan_import
from osteon.storage.readers import Rejected, ScanSource

LOCALIZER = Rejected("/scans/1.dcm", "localizer", "a projection")
TORN = Rejected("/scans/2.dcm", "unreadable-header", "torn")


def plan_of(*cases: CaseSource | Rejected) -> ImportPlan:
    return ImportPlan("scans", cases, LabelTable(()), None, ("notes.nii: passed over",))


def case(case_id: str | None, path: str) -> CaseSource:
    return CaseSource(case_id, ScanSource("nifti", (path,), path), None)


@pytest.fixture
def nnunet(tmp_path: Path) -> Path:
    root = tmp_path / "Dataset001_Leg"
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    for number in range(2):
        hu = np.full((8, 9, 10), number, np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(hu * 500 - 400), str(root / "imagesTr" / f"leg_{number}_0000.nii.gz"))
        sitk.WriteImage(sitk.GetImageFromArray(hu.astype(np.uint8)), str(root / "labelsTr" / f"leg_{number}.nii.gz"))
    (root / "splits_final.json").write_text('[{"train": ["leg_0"], "val": ["leg_1"]}]')
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "femur_left": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def test_nnunets_folds_are_kept(nnunet: Path, tmp_path: Path) -> None:
    summary = ingest(plan_import([nnunet]), str(tmp_path / "ds"), scheduler="threads")
    assert summary.layout == "nnunet"
    assert [outcome.case_id for outcome in summary.cases] == ["leg_0", "leg_1"]
    assert json.loads((tmp_path / "ds" / "splits.json").read_text()) == [{"train": ["leg_0"], "val": ["leg_1"]}]


def test_a_preview_names_cases_and_what_is_none() -> None:
    summary = preview(plan_of(case("a", "a.nii"), case(None, "b.nii"), LOCALIZER, TORN), "ds")
    assert [outcome.case_id for outcome in summary.cases] == ["a", "", "", ""]
    assert [outcome.status for outcome in summary.cases] == ["planned", "planned", "ignored", "quarantined"]
    assert summary.notes == ("notes.nii: passed over",)


def test_nothing_found_is_an_error() -> None:
    with pytest.raises(OsteonError, match="no-scans"):
        check_plan(plan_of())


def test_two_sources_of_one_id_are_named() -> None:
    with pytest.raises(BadInput, match=r"x/a\.nii, y/a\.nii"):
        check_plan(plan_of(case("a", "x/a.nii"), case("a", "y/a.nii"), case("b", "b.nii")))
    check_plan(plan_of(case(None, "x/a.nii"), case(None, "y/a.nii"), TORN))


def test_localizers_are_no_ones_loss() -> None:
    assert set_aside(LOCALIZER, "x").status == "ignored"
    assert (set_aside(TORN, "x").status, set_aside(TORN, "x").case_id) == ("quarantined", "x")


@pytest.mark.parametrize(
    ("cases", "exit_code"),
    [
        ((), 1),
        ((case("a", "a.nii"),), 0),
        ((case("a", "a.nii"), LOCALIZER), 0),
        ((case("a", "a.nii"), TORN), 3),
        ((LOCALIZER,), 1),
        ((TORN,), 1),
    ],
)
def test_exit_codes(cases: tuple[CaseSource | Rejected, ...], exit_code: int) -> None:
    summary: IngestSummary = preview(plan_of(*cases), "ds")
    assert summary.exit_code == exit_code
