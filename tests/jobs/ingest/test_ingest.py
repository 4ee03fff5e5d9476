"""Ingesting folders of scans: what is written, skipped, quarantined and refused."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from osteon.core.errors import BadInput
from osteon.jobs.ingest import ingest
from osteon.jobs.ingest_summary import IngestSummary
from osteon.storage.dataset import Dataset
from osteon.storage.importers import plan_import

AddScan = Callable[..., Path]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(tmp_path / "dataset")


def run(source: Path, url: str, **options: Any) -> IngestSummary:
    return ingest(plan_import([source]), url, scheduler="threads", num_workers=2, **options)


def statuses(summary: IngestSummary) -> dict[str, str]:
    return {case.case_id: case.status for case in summary.cases}


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def test_cases_are_written_with_labels_catalog_and_fingerprint(scans: Path, add_scan: AddScan, url: str) -> None:
    path = add_scan("a", slices=150)
    add_scan("b", seed=1)
    summary = run(scans, url)
    assert statuses(summary) == {"a": "ingested", "b": "ingested"}
    assert summary.exit_code == 0
    assert summary.num_bytes > 0
    assert set(summary.cases[0].labels) == {"femur_left", "vertebrae_L3"}
    dataset = Dataset.open(url)
    assert [row.case_id for row in dataset.catalog()] == ["a", "b"]
    assert Path(url, "catalog.parquet").is_file()
    case = dataset.case("a")
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    stored = case.image().read((0, 0, 0), case.grid.shape).result()
    np.testing.assert_array_equal(stored, voxels[:, ::-1, ::-1])
    labels = case.labels().read((0, 0, 0), case.grid.shape).result()
    assert {case.table.names[int(label)] for label in np.unique(labels) if label} == {"femur_left", "vertebrae_L3"}


def test_committed_cases_are_skipped_before_they_are_opened(
    scans: Path, add_scan: AddScan, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_scan("a")
    run(scans, url)

    def opened(*_: object, **__: object) -> None:
        raise AssertionError("a committed case was opened")

    monkeypatch.setattr("osteon.jobs.ingest_case.open_scan", opened)
    summary = run(scans, url)
    assert statuses(summary) == {"a": "skipped"}
    assert summary.cases[0].code == "already-committed"
    assert summary.exit_code == 0


def test_a_bad_scan_is_quarantined_and_the_others_go_on(scans: Path, add_scan: AddScan, url: str) -> None:
    add_scan("good")
    bad = add_scan("bad")
    damage(bad)
    summary = run(scans, url)
    assert statuses(summary) == {"bad": "quarantined", "good": "ingested"}
    assert summary.exit_code == 3
    assert Dataset.open(url).case_ids() == ["good"]
    entry = json.loads(Path(url, "quarantine", "bad.json").read_text())
    outcome = next(case for case in summary.cases if case.case_id == "bad")
    assert entry["code"] == outcome.code != ""
    assert outcome.source == str(bad)
    assert len(entry["source_digest"]) == 64


def test_no_file_name_gets_into_the_dataset(scans: Path, add_scan: AddScan, url: str) -> None:
    add_scan("good")
    (scans / "DOE^JANE").mkdir()
    bad = scans / "DOE^JANE" / "19700101-doe.nii.gz"
    bad.write_bytes(add_scan("copied").read_bytes()[:-2000])
    run(scans, url)
    kept = [path for path in Path(url).rglob("*") if path.is_file()]
    assert any(path.parent.name == "quarantine" for path in kept)
    for path in kept:
        assert b"doe" not in path.read_bytes().lower()
        assert "doe" not in str(path.relative_to(url)).lower()


def test_what_is_found_only_while_decoding_is_quarantined_and_the_id_is_free_again(
    scans: Path, add_series: Callable[..., list[Path]], url: str
) -> None:
    middle = add_series("a")[40]
    whole = middle.read_bytes()
    start = whole.index(b"\xfe\xff\x00\xe0", -3000) + 8 + 64  # behind the frame's RLE header
    middle.write_bytes(whole[:start] + b"\xff" * 200 + whole[start + 200 :])
    summary = run(scans, url)
    assert (statuses(summary), summary.cases[0].code) == ({"a": "quarantined"}, "undecodable-pixels")
    assert summary.cases[0].source == str(middle)
    assert Dataset.open(url).case_ids() == []
    middle.write_bytes(whole)
    summary = run(scans, url)
    assert statuses(summary) == {"a": "ingested"}, summary


def test_a_mended_source_leaves_the_quarantine(scans: Path, add_scan: AddScan, url: str) -> None:
    path = add_scan("a")
    whole = path.read_bytes()
    damage(path)
    summary = run(scans, url)
    assert statuses(summary) == {"a": "quarantined"}
    assert summary.exit_code == 1
    path.write_bytes(whole)
    assert statuses(run(scans, url)) == {"a": "ingested"}
    assert not Path(url, "quarantine", "a.json").exists()


def test_a_changed_source_needs_replace(scans: Path, add_scan: AddScan, url: str) -> None:
    path = add_scan("a", seed=1)
    run(scans, url)
    path.unlink()
    path.parent.joinpath("labels.nii.gz").unlink()
    path.parent.rmdir()
    add_scan("a", seed=2)
    summary = run(scans, url)
    assert (statuses(summary), summary.cases[0].code) == ({"a": "quarantined"}, "other-source")
    assert statuses(run(scans, url, replace=True)) == {"a": "ingested"}
    assert not Path(url, "quarantine", "a.json").exists()


def test_replace_mends_a_damaged_case_and_leaves_whole_ones(
    scans: Path, add_scan: AddScan, url: str, contents: Callable[[str], dict[str, bytes | str]]
) -> None:
    add_scan("a")
    add_scan("b", seed=1)
    run(scans, url)
    before = contents(url)
    shard = next(Path(url, "cases", "a.zarr", "0", "c").rglob("0"))
    while shard.is_dir():
        shard = shard / "0"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\0")
    assert statuses(run(scans, url)) == {"a": "skipped", "b": "skipped"}
    assert statuses(run(scans, url, replace=True)) == {"a": "ingested", "b": "skipped"}
    assert contents(url) == before


def test_changed_labels_are_a_changed_source(scans: Path, add_scan: AddScan, url: str) -> None:
    path = add_scan("a").with_name("labels.nii.gz")
    run(scans, url)
    labels = sitk.ReadImage(str(path))
    labels[0, 0, 0] = 2
    sitk.WriteImage(labels, str(path))
    assert run(scans, url).cases[0].code == "other-source"


def test_two_sources_of_one_id_are_refused_before_anything_is_written(
    scans: Path, add_scan: AddScan, url: str, tmp_path: Path
) -> None:
    add_scan("a")
    (tmp_path / "more").mkdir()
    scans.joinpath("a").rename(tmp_path / "more" / "a")
    (tmp_path / "more" / "labels.json").write_bytes((scans / "labels.json").read_bytes())
    add_scan("a", seed=1)
    with pytest.raises(BadInput, match="same-id"):
        ingest(plan_import([scans, tmp_path / "more"]), url, scheduler="threads")
    assert not Path(url).exists()


def test_the_same_scan_twice_becomes_one_case(add_scan: AddScan, url: str, tmp_path: Path) -> None:
    path = add_scan("a")
    copies = tmp_path / "copies"
    copies.mkdir()
    for name in ("one", "two"):
        (copies / f"{name}.nii.gz").write_bytes(path.read_bytes())
    summary = run(copies, url)
    assert sorted(case.status for case in summary.cases) == ["ingested", "skipped"], summary
    assert len(Dataset.open(url).case_ids()) == 1


def test_scratch_is_removed(scans: Path, add_scan: AddScan, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = scans.parent / "tmp"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    damage(add_scan("bad"))
    add_scan("good")
    run(scans, url)
    assert [path for path in scratch.rglob("*") if path.is_file() and path.suffix not in (".lock",)] == []


def test_a_killed_runs_scratch_is_removed_by_the_next(
    scans: Path, add_scan: AddScan, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(scans.parent))
    left = scans.parent / f"osteon-ingest-{os.getuid()}" / "run-left"
    left.mkdir(parents=True)
    (left / "decoded").write_bytes(b"voxels")
    left.with_name("run-left.dirlock").touch()
    add_scan("a")
    run(scans, url)
    assert not left.exists()


def test_an_unknown_scheduler_is_refused(scans: Path, add_scan: AddScan, url: str) -> None:
    add_scan("a")
    with pytest.raises(BadInput, match="bad-scheduler"):
        ingest(plan_import([scans]), url, scheduler="slurm")
    assert not Path(url).exists()


def test_a_full_store_ends_the_run_with_its_own_reason(
    scans: Path, add_scan: AddScan, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where not even the quarantine can be written, going on is pointless."""
    from osteon.core.errors import StoreError
    from osteon.storage.stores import Store

    create = Store.write_bytes

    def full(self: Store, key: str, data: bytes) -> None:
        if "dataset.json" not in key:
            raise StoreError("disk-full", "no space left", where=self.url)
        create(self, key, data)

    add_scan("a")
    monkeypatch.setattr(Store, "write_bytes", full)
    with pytest.raises(StoreError, match="disk-full"):
        run(scans, url)
