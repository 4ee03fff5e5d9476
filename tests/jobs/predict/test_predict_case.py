"""Pieces of work, done in this process: what is written, what is left for others, what is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_model import write_model

from osteon.core.errors import BadInput, Conflict
from osteon.core.labels import LabelTable
from osteon.jobs.predict_archive import Archive, PredictRequest, sort_out
from osteon.jobs.predict_case import Predictor, Taken, parts_of
from osteon.jobs.predict_plan import Unit
from osteon.jobs.predict_ranges import Cutter
from osteon.storage.catalog import write_catalog
from osteon.storage.dataset import Dataset
from osteon.storage.folder import Folder
from osteon.storage.verify import verify

AddCase = Callable[..., Dataset]
Labels = Callable[..., dict[str, bytes]]


@pytest.fixture
def opened(model: str, archive: Path, tmp_path: Path) -> Archive:
    made = Archive.open(PredictRequest(model, str(archive), str(tmp_path / "out"), backend="torch"))
    made.claim()
    return made


@pytest.fixture
def predictor(opened: Archive) -> Predictor:
    return Predictor.load(opened.job)


def units_of(archive: Archive, case_id: str, longest: float = 1e9, *, is_keeping: bool = True) -> list[Unit]:
    cases, _ = sort_out(archive.candidates(), archive.committed())
    cutter = Cutter(archive.card.recipe, archive.source, archive.out, is_keeping)
    return cutter.units([case for case in cases if case.case_id == case_id], longest)


class Forbidden:
    """A lock that nobody may take: whoever does wants to compute."""

    def __enter__(self) -> None:
        raise AssertionError("the network was used")

    def __exit__(self, *_: object) -> None:
        pass


def idle(predictor: Predictor) -> Predictor:
    return replace(predictor, labelling=Forbidden())


def test_a_case_gets_the_labels_of_osteon_segment(
    opened: Archive, predictor: Predictor, tmp_path: Path, segmented: Labels, labels_of: Labels
) -> None:
    [unit] = units_of(opened, "a")
    taken = predictor.take(unit)
    assert taken.error is None
    assert taken.voxels == 24 * 24 * 24
    assert 0 < taken.waiting_seconds < taken.labelling_seconds
    assert labels_of(tmp_path / "out" / "cases" / "a.zarr") == segmented("a")
    assert verify(str(tmp_path / "out")).is_sound
    [row] = Dataset.open(str(tmp_path / "out")).catalog()
    assert taken.row == row
    assert (row.source_digest, row.labels_digest) == (unit.case.source_digest, unit.case.identity)


def test_ranges_in_any_order_give_the_same_and_whoever_is_last_puts_them_together(
    opened: Archive, predictor: Predictor, tmp_path: Path, segmented: Labels, labels_of: Labels
) -> None:
    units = units_of(opened, "long", longest=50)
    assert [unit.number for unit in units] == list(range(len(units)))
    assert len(units) > 2
    *firsts, last = [predictor.take(unit) for unit in reversed(units)]
    assert [(taken.error, taken.row) for taken in firsts] == [(None, None)] * len(firsts)
    assert last.row is not None
    assert sum(taken.voxels for taken in (*firsts, last)) == 260 * 24 * 24
    assert labels_of(tmp_path / "out" / "cases" / "long.zarr") == segmented("long")
    assert list((tmp_path / "out" / "work").iterdir()) == []


def test_finished_ranges_are_not_repeated_however_many_workers_come_next(opened: Archive, predictor: Predictor) -> None:
    units = units_of(opened, "long", longest=50)
    predictor.take(units[1])
    again = units_of(opened, "long")  # of a run that would not cut it
    assert again == [unit for unit in units if unit.number != 1]
    for unit in again:
        last = predictor.take(unit)
    assert last.row is not None


def test_parts_of_a_worker_that_died_before_it_put_them_together(opened: Archive, predictor: Predictor) -> None:
    units = units_of(opened, "long", longest=50)
    for unit in units:
        labels, _ = predictor._labelled(opened.source.case("long"), unit.ranges[unit.number or 0])
        parts_of(opened.out, "long", unit.case.identity).keep(unit.number or 0, labels)
    [unit] = units_of(opened, "long")
    assert (unit.number, unit.windows) == (None, 0)
    assert idle(predictor).take(unit).row is not None


def test_work_that_another_has_done_is_not_done_again(opened: Archive, predictor: Predictor) -> None:
    units = units_of(opened, "long", longest=50)
    predictor.take(units[0])
    assert idle(predictor).take(units[0]) == Taken()
    [whole] = units_of(opened, "a")
    first, second = predictor.take(whole), predictor.take(whole)
    assert first.row == second.row
    assert first.error is second.error is None


def test_a_preview_keeps_no_cut(opened: Archive, tmp_path: Path) -> None:
    assert len(units_of(opened, "long", longest=50, is_keeping=False)) > 2
    assert not (tmp_path / "out" / "work").exists()


def test_a_short_scan_is_left_whole(opened: Archive) -> None:
    [unit] = units_of(opened, "b", longest=1)
    assert unit.ranges == ()


def test_a_damaged_scan_is_refused_by_whoever_reads_it(opened: Archive, predictor: Predictor, archive: Path) -> None:
    for shard in (archive / "cases" / "long.zarr" / "0").rglob("c/*/*/*"):
        shard.write_bytes(shard.read_bytes()[:-20])
    units = units_of(opened, "long", longest=50)
    error = predictor.take(units[0]).error
    assert error is not None
    assert error.code == "damaged-chunk"
    assert opened.committed() == {}


def test_a_fault_of_ours_is_one_cases_too(
    opened: Archive, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no memory for /home/anna")

    monkeypatch.setattr("osteon.jobs.predict_case.postprocess", fail)
    [unit] = units_of(opened, "a")
    error = predictor.take(unit).error
    assert error is not None
    assert error.code == "internal"
    assert "RuntimeError" in error.what
    assert "anna" not in str(error)


def test_a_scan_that_was_replaced_meanwhile_is_not_mixed(
    opened: Archive, predictor: Predictor, archive: Path, add_case: AddCase
) -> None:
    units = units_of(opened, "long", longest=50)
    predictor.take(units[0])
    shutil.rmtree(archive)
    add_case(archive, "long", 260, seed=9)
    error = predictor.take(units[1]).error
    assert error is not None
    assert error.code == "source-changed"
    fresh = units_of(opened, "long", longest=50)
    assert [unit.number for unit in fresh] == [0, *(unit.number for unit in units[1:])]


def test_the_id_of_another_scan_is_refused(
    opened: Archive, predictor: Predictor, archive: Path, add_case: AddCase
) -> None:
    [unit] = units_of(opened, "a")
    predictor.take(unit)
    shutil.rmtree(archive)
    add_case(archive, "a", 24, seed=9)
    todo, [told] = sort_out(opened.candidates(), opened.committed())
    assert (todo, told.status, told.code) == ([], "quarantined", "other-scan")
    source_digest = opened.source.case("a").provenance.source_digest
    late = replace(unit, case=replace(unit.case, source_digest=source_digest))
    error = predictor.take(late).error
    assert error is not None
    assert error.code == "other-scan"


def test_a_model_that_was_replaced_meanwhile_is_not_used(opened: Archive, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", spacing_mm=2.0)
    with pytest.raises(Conflict, match="other-model"):
        Predictor.load(replace(opened.job, model=other))


@pytest.mark.usefixtures("opened")
def test_another_model_and_another_dataset_are_refused(model: str, archive: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", spacing_mm=2.0)
    out = str(tmp_path / "out")
    with pytest.raises(Conflict, match="other-model"):
        Archive.open(PredictRequest(other, str(archive), out))
    with pytest.raises(BadInput, match="same-dataset"):
        Archive.open(PredictRequest(model, str(archive), str(archive)))
    Dataset.create(str(tmp_path / "made"), "made", LabelTable(()))
    with pytest.raises(Conflict, match="other-dataset"):
        Archive.open(PredictRequest(model, str(archive), str(tmp_path / "made")))


def test_cases_are_sorted_out_by_two_catalogs(opened: Archive, predictor: Predictor) -> None:
    predictor.take(units_of(opened, "a")[0])
    todo, [told] = sort_out(opened.candidates(), opened.committed())
    assert [case.case_id for case in todo] == ["b", "long"]
    assert (told.case_id, told.status, told.code) == ("a", "skipped", "already-committed")
    named = replace(opened, request=replace(opened.request, cases=("b", "c")))
    with pytest.raises(BadInput, match=r"c are not among the 3 cases .*unknown-case"):
        named.candidates()


def test_no_case_is_opened_to_know_what_is_to_be_done(
    opened: Archive, predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = predictor.take(units_of(opened, "a")[0]).row
    assert row is not None
    write_catalog(opened.out, [row])
    read: list[str] = []

    def reading(folder: Folder, key: str, of: Callable[[Folder, str], bytes] = Folder.read) -> bytes:
        read.append(key)
        return of(folder, key)

    monkeypatch.setattr(Folder, "read", reading)
    todo, _ = sort_out(opened.candidates(), opened.committed())
    Cutter(opened.card.recipe, opened.source, opened.out, is_keeping=True).units(todo, longest=1e9)
    assert sorted(read) == ["catalog.parquet", "catalog.parquet", "dataset.json"]
