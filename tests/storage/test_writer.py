import pickle
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from osteon.core.errors import BadInput, Conflict
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.storage.case import open_case
from osteon.storage.dataset import Dataset
from osteon.storage.integrity import damages
from osteon.storage.manifest import ROOT_KEY
from osteon.storage.stores import Store, open_store
from osteon.storage.writer import CaseWriter, write_case, write_zarr

if TYPE_CHECKING:
    from tests.storage.conftest import Example


@pytest.fixture
def store(dataset_url: str) -> Store:
    return open_store(dataset_url)


def _plan(store: Store, example: "Example", case_id: str = "a") -> CaseWriter:
    return CaseWriter.plan(store, case_id, example.grid, example.table, has_labels=True)


def _content(store: Store, prefix: str = "cases/a.zarr") -> dict[str, bytes]:
    """Every object but the root document, which holds the commit's random write id."""
    return {key: store.read_bytes(key) for key in store.list(prefix) if key != f"{prefix}/{ROOT_KEY}"}


def test_nothing_is_a_case_before_the_commit(store: Store, example: "Example") -> None:
    writer = _plan(store, example)
    assert writer.begin(example.provenance.source_digest)
    receipts = example.write_rows(writer)
    with pytest.raises(BadInput, match="no-case"):
        open_case(store.child("cases", "a.zarr"))
    assert writer.commit(receipts, example.provenance)
    np.testing.assert_array_equal(
        open_case(store.child("cases", "a.zarr")).image().read((0, 0, 0), example.grid.shape).result(), example.image
    )


def test_a_committed_source_is_not_written_again(store: Store, example: "Example") -> None:
    writer = _plan(store, example)
    writer.begin(example.provenance.source_digest)
    writer.commit(example.write_rows(writer), example.provenance)
    keys = store.list()
    assert not writer.begin(example.provenance.source_digest)
    assert not writer.begin(example.provenance.source_digest, replace=True)
    assert store.list() == keys


def test_another_source_is_refused_unless_it_replaces(
    store: Store, example: "Example", other_example: "Example"
) -> None:
    writer, other = _plan(store, example), _plan(store, other_example)
    writer.begin(example.provenance.source_digest)
    with pytest.raises(Conflict, match="other-source"):
        other.begin(other_example.provenance.source_digest)
    writer.commit(example.write_rows(writer), example.provenance)
    with pytest.raises(Conflict, match="--replace"):
        other.begin(other_example.provenance.source_digest)

    assert other.begin(other_example.provenance.source_digest, replace=True)
    with pytest.raises(BadInput, match="no-case"):
        open_case(store.child("cases", "a.zarr"))
    other.commit(other_example.write_rows(other), other_example.provenance)
    stored = open_case(store.child("cases", "a.zarr"))
    np.testing.assert_array_equal(stored.image().read((0, 0, 0), (70, 80, 75)).result(), other_example.image)
    assert not damages(store, "cases/a.zarr", stored.root)


def test_other_labels_of_the_same_image_are_another_source(store: Store, example: "Example") -> None:
    writer, source = _plan(store, example), example.provenance
    assert writer.begin(source.source_digest, labels_digest=source.labels_digest)
    writer.commit(example.write_rows(writer), source)
    with pytest.raises(Conflict, match="other-source"):
        writer.begin(source.source_digest, labels_digest="others")


def test_a_reader_opened_before_a_replacement_reads_the_new_case_after_opening_again(
    store: Store, example: "Example", other_example: "Example"
) -> None:
    dataset = Dataset.create(store.url, "test", example.table)
    for scan in (example, other_example, example):
        write_case(dataset, "a", scan.image, scan.labels, scan.grid, replace=True)
        read = dataset.case("a").image().read((0, 0, 0), scan.grid.shape).result()
        np.testing.assert_array_equal(read, scan.image)


@pytest.mark.parametrize("damage", ["shard", "manifest"])
def test_replacing_mends_a_damaged_case(store: Store, example: "Example", damage: str) -> None:
    dataset = Dataset.create(store.url, "test", example.table)
    write_case(dataset, "a", example.image, example.labels, example.grid)
    key = "cases/a.zarr/0/c/1/0/0" if damage == "shard" else f"cases/a.zarr/{ROOT_KEY}"
    data = bytearray(store.read_bytes(key))
    data[len(data) // 2] ^= 1
    store.write_bytes(key, bytes(data))
    write_case(dataset, "a", example.image, example.labels, example.grid, replace=True)
    case = dataset.case("a")
    assert not damages(store, "cases/a.zarr", case.root)
    np.testing.assert_array_equal(case.image().read((0, 0, 0), (70, 80, 75)).result(), example.image)


def test_rows_may_be_written_in_any_order_twice_and_elsewhere(tmp_path: Path, example: "Example") -> None:
    whole, parts = open_store(str(tmp_path / "whole")), open_store(str(tmp_path / "parts"))
    for store in (whole, parts):
        writer = pickle.loads(pickle.dumps(_plan(store, example)))
        writer.begin("digest")
        if store is whole:
            receipts = example.write_rows(writer)
        else:
            example.write_rows(writer)
            jobs = [
                (row, *(a[slice(*writer.row_range(row))] for a in (example.image, example.labels))) for row in (1, 0)
            ]
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                receipts = [pool.submit(writer.write_row, *job).result() for job in jobs]
        writer.commit(receipts, replace(example.provenance, source_digest="digest"))
    assert _content(whole) == _content(parts)


def test_two_writers_of_one_source_one_commits(store: Store, example: "Example") -> None:
    writer = _plan(store, example)

    def ingest(_: int) -> bool:
        return writer.begin(example.provenance.source_digest) and writer.commit(
            example.write_rows(writer), example.provenance
        )

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(ingest, range(4)))
    assert won.count(True) == 1
    assert not damages(store, "cases/a.zarr", open_case(store.child("cases", "a.zarr")).root)
    assert not any("claim" in key or "tmp" in key for key in store.list())


def test_writers_of_several_sources_one_wins_and_the_others_say_so(
    store: Store, example: "Example", other_example: "Example"
) -> None:
    def ingest(scan: "Example") -> str:
        writer = _plan(store, scan)
        try:
            writer.begin(scan.provenance.source_digest)
            writer.commit(scan.write_rows(writer), scan.provenance)
        except Conflict as error:
            return error.code
        return "won"

    with ThreadPoolExecutor(2) as pool:
        outcomes = list(pool.map(ingest, [example, other_example]))
    assert sorted(outcomes) == ["other-source", "won"]
    winner = (example, other_example)[outcomes.index("won")]
    stored = open_case(store.child("cases", "a.zarr"))
    np.testing.assert_array_equal(stored.image().read((0, 0, 0), (70, 80, 75)).result(), winner.image)


def test_a_writer_whose_claim_was_overruled_does_not_commit(
    store: Store, example: "Example", other_example: "Example"
) -> None:
    slow, quick = _plan(store, example), _plan(store, other_example)
    slow.begin(example.provenance.source_digest)
    receipts = example.write_rows(slow)
    quick.begin(other_example.provenance.source_digest, replace=True)
    with pytest.raises(Conflict, match="other-source"):
        slow.commit(receipts, example.provenance)


def test_a_commit_needs_every_row(store: Store, example: "Example") -> None:
    writer = _plan(store, example)
    with pytest.raises(BadInput, match=r"only rows \[0\] of 2"):
        writer.commit(example.write_rows(writer)[:1], example.provenance)


@pytest.mark.parametrize("case_id", ["", ".hidden", "-x", "a/b", "a b", "ü", "a\n"])
def test_ids_that_cannot_name_a_case_are_refused(case_id: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="bad-case-id"):
        CaseWriter.plan(open_store(str(tmp_path)), case_id, Grid((1, 1, 1)), LabelTable(()), has_labels=False)


def test_rows_of_the_wrong_shape_or_type_are_refused(tmp_path: Path, example: "Example") -> None:
    writer = _plan(open_store(str(tmp_path)), example)
    image, labels = example.image[:64], example.labels[:64]
    for bad in ((image[:63], labels), (image.astype(np.float32), labels), (image, labels[:, 1:]), (image, None)):
        with pytest.raises(BadInput, match="row-shape"):
            writer.write_row(0, *bad)


@pytest.mark.parametrize("id_", [77, 300, -1])
def test_ids_outside_the_table_are_refused(tmp_path: Path, example: "Example", id_: int) -> None:
    labels = example.labels[:64].astype(np.int16)
    labels[0, 0, 0] = id_
    with pytest.raises(BadInput, match=rf"label ids \[{id_}\]"):
        _plan(open_store(str(tmp_path)), example).write_row(0, example.image[:64], labels)


def test_a_case_can_stand_alone(dataset_url: str, example: "Example") -> None:
    for _ in range(2):
        write_zarr(f"{dataset_url}/out.zarr", example.image, example.labels, example.grid, example.table)
    case = open_case(f"{dataset_url}/out.zarr")
    assert case.case_id == "out"
    np.testing.assert_array_equal(case.labels().read((0, 0, 0), (70, 80, 75)).result(), example.labels)
    assert open_store(dataset_url).list_children() == ["out.zarr"]
