"""Deriving datasets: what is written, remembered, skipped, quarantined and refused."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteon.core.chain import Crop, Mirror, Resample
from osteon.core.errors import BadInput
from osteon.data.prepare import PrepareSpec, restore_labels
from osteon.jobs.prepare import PrepareRequest, prepare, preview
from osteon.jobs.prepare_summary import PrepareSummary
from osteon.storage.case import StoredCase
from osteon.storage.dataset import Dataset
from osteon.storage.verify import verify

AddCase = Callable[..., Dataset]
Contents = Callable[[str | Path], dict[str, bytes | str]]
FEMURS = PrepareSpec(femurs=True, spacing_mm=(1.5, 1.5, 1.5), window_hu=(-50, 600))
ALIGNED = FEMURS.model_copy(update={"align_shaft": True})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def run(
    source: Path, out: Path, spec: PrepareSpec = FEMURS, *, scheduler: str = "threads", **kw: Any
) -> PrepareSummary:
    return prepare(PrepareRequest(str(source), str(out), spec, **kw), scheduler=scheduler, num_workers=2)


def statuses(summary: PrepareSummary) -> dict[str, str]:
    return {case.case_id: case.status for case in summary.cases}


def whole(volume: Any) -> Any:
    return volume.read((0, 0, 0), volume.grid.shape).result()


def labels_of(case: StoredCase) -> Any:
    return whole(case.labels())


def test_every_scan_becomes_two_right_femurs_that_know_their_way_back(
    source: Path, out: Path, add_case: AddCase
) -> None:
    add_case(source, "a")
    scan = add_case(source, "b", seed=2).case("b")
    summary = run(source, out)
    assert statuses(summary) == dict.fromkeys(["a-left", "a-right", "b-left", "b-right"], "prepared")
    assert summary.exit_code == 0
    dataset = Dataset.open(str(out))
    assert list(dataset.table.ids) == ["femur_right"]
    assert [row.case_id for row in dataset.catalog()] == ["a-left", "a-right", "b-left", "b-right"]
    left = dataset.case("b-left")
    derivation = left.provenance.derivation
    assert derivation is not None
    assert (derivation.case_id, derivation.grid, derivation.spec_digest) == ("b", scan.grid, FEMURS.digest)
    assert [type(step) for step in derivation.chain.steps] == [Crop, Mirror, Resample]
    assert left.grid == derivation.chain.grid_of(scan.grid)
    image = whole(left.image())
    assert (image.min(), image.max()) == (-50, 600)
    assert verify(str(out)).is_sound


@pytest.mark.parametrize("spec", [FEMURS, ALIGNED], ids=["cropped", "aligned"])
def test_labels_of_derived_cases_are_restored_to_the_source(
    spec: PrepareSpec, source: Path, out: Path, add_case: AddCase
) -> None:
    truth = labels_of(add_case(source, "a").case("a"))
    run(source, out, spec)
    restored = np.zeros_like(truth)
    for case in map(Dataset.open(str(out)).case, ("a-left", "a-right")):
        derivation = case.provenance.derivation
        assert derivation is not None
        restored = np.maximum(restored, restore_labels(labels_of(case), derivation.chain, derivation.grid))
    for label in (1, 2):
        label_id = np.unique(truth)[label]
        both = np.count_nonzero((restored == label_id) & (truth == label_id))
        assert 2 * both / (np.count_nonzero(restored == label_id) + np.count_nonzero(truth == label_id)) >= 0.97


def test_a_prepared_case_is_skipped_before_a_voxel_is_read(
    source: Path, out: Path, add_case: AddCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_case(source, "a")
    run(source, out)

    def planned(*_: object) -> None:
        raise AssertionError("a prepared case was looked into")

    monkeypatch.setattr("osteon.jobs.prepare_lane.plan_case", planned)
    summary = run(source, out)
    assert statuses(summary) == {"a-left": "skipped", "a-right": "skipped"}
    assert summary.cases[0].code == "already-committed"
    assert summary.exit_code == 0


def test_another_spec_under_the_same_id_needs_replace(source: Path, out: Path, add_case: AddCase) -> None:
    add_case(source, "a")
    run(source, out)
    summary = run(source, out, ALIGNED)
    assert [(case.status, case.code) for case in summary.cases] == [("quarantined", "other-preparation")] * 2
    assert statuses(run(source, out, ALIGNED, replace=True)) == {"a-left": "prepared", "a-right": "prepared"}
    derivation = Dataset.open(str(out)).case("a-left").provenance.derivation
    assert derivation is not None
    assert derivation.spec_digest == ALIGNED.digest
    assert not list(out.glob("quarantine/*.json"))


def test_another_source_under_the_same_id_needs_replace(source: Path, out: Path, add_case: AddCase) -> None:
    add_case(source, "a")
    run(source, out)
    add_case(source.with_name("other"), "a", seed=3)
    assert {case.code for case in run(source.with_name("other"), out).cases} == {"other-preparation"}


def test_a_case_without_labels_is_quarantined_until_a_rough_segmentation_shows_its_femurs(
    source: Path, out: Path, add_case: AddCase, tmp_path: Path
) -> None:
    add_case(source, "dark", labelled=False, seed=1)
    add_case(source, "good")
    summary = run(source, out)
    assert statuses(summary) == {"dark": "quarantined", "good-left": "prepared", "good-right": "prepared"}
    assert (summary.cases[0].code, summary.exit_code) == ("no-guide", 3)
    entry = json.loads((out / "quarantine" / "dark.json").read_text())
    assert entry["code"] == "no-guide"
    assert "--labels-from" in entry["remedy"]
    add_case(tmp_path / "rough", "dark", seed=1)
    summary = run(source, out, cases=("dark",), labels_from=str(tmp_path / "rough"))
    assert statuses(summary) == {"dark-left": "prepared", "dark-right": "prepared"}
    assert not (out / "quarantine" / "dark.json").exists()
    assert not Dataset.open(str(out)).case("dark-left").has_labels


def test_other_labels_to_find_the_femurs_are_another_preparation(
    source: Path, out: Path, add_case: AddCase, tmp_path: Path
) -> None:
    add_case(source, "a")
    add_case(tmp_path / "rough", "a", seed=1)
    run(source, out)
    summary = run(source, out, labels_from=str(tmp_path / "rough"))
    assert {case.code for case in summary.cases} == {"other-preparation"}


def test_cases_are_cropped_resized_and_keep_all_labels(source: Path, out: Path, add_case: AddCase) -> None:
    """Li 2022: what is bright is cropped to, planes are resized, slices lie 1 mm apart."""
    add_case(source, "a")
    spec = PrepareSpec(crop_above_hu=500, plane_shape=(64, 96), spacing_mm=(1.0, 1.0, 1.0), window_hu=(100, 800))
    assert statuses(run(source, out, spec)) == {"a": "prepared"}
    case = Dataset.open(str(out)).case("a")
    assert (case.grid.shape[1:], case.grid.spacing_mm[0]) == ((64, 96), 1.0)
    assert len(case.manifest.label_counts) == 2


def test_folds_are_carried_over_with_both_femurs_in_one_part(source: Path, out: Path, add_case: AddCase) -> None:
    for number, case_id in enumerate("abc"):
        add_case(source, case_id, seed=number)
    (source / "splits.json").write_text(json.dumps([{"train": ["a", "b"], "val": ["c"]}]))
    run(source, out)
    (fold,) = json.loads((out / "splits.json").read_text())
    assert fold == {"train": ["a-left", "a-right", "b-left", "b-right"], "val": ["c-left", "c-right"]}


def test_from_a_folder_into_s3_and_from_there_on(source: Path, out: Path, add_case: AddCase, s3_url: str) -> None:
    add_case(source, "a")
    prepare(PrepareRequest(str(source), s3_url, FEMURS), scheduler="threads", num_workers=2)
    summary = prepare(PrepareRequest(s3_url, str(out), PrepareSpec(window_hu=(0, 400))), scheduler="threads")
    assert statuses(summary) == {"a-left": "prepared", "a-right": "prepared"}
    image = whole(Dataset.open(str(out)).case("a-left").image())
    assert (image.min(), image.max()) == (0, 400)


def test_a_preview_finds_the_same_and_writes_nothing(source: Path, out: Path, add_case: AddCase) -> None:
    add_case(source, "a")
    add_case(source, "dark", labelled=False)
    planned = preview(PrepareRequest(str(source), str(out), FEMURS))
    assert statuses(planned) == {"a-left": "planned", "a-right": "planned", "dark": "quarantined"}
    assert not out.exists()
    written = run(source, out)
    assert [case.shape for case in planned.cases] == [case.shape for case in written.cases]


def test_what_cannot_be_asked_for_is_refused_before_anything_is_written(
    source: Path, out: Path, add_case: AddCase
) -> None:
    add_case(source, "a")
    calls: dict[str, Callable[[], object]] = {
        "nothing-to-prepare": lambda: run(source, out, PrepareSpec()),
        "same-dataset": lambda: run(source, source),
        "unknown-case": lambda: run(source, out, cases=("a", "b")),
        "no-dataset": lambda: run(out, source),
        "bad-scheduler": lambda: run(source, out, scheduler="slurm"),
    }
    for code, call in calls.items():
        with pytest.raises(BadInput, match=code):
            call()
    assert not out.exists()
