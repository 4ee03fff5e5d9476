from typing import TYPE_CHECKING

import pytest

from osteon.core.errors import BadInput
from osteon.storage.catalog import CATALOG_KEY, read_catalog
from osteon.storage.dataset import Dataset
from osteon.storage.manifest import ROOT_KEY
from osteon.storage.verify import CatalogState, verify
from osteon.storage.writer import CaseWriter, write_case

if TYPE_CHECKING:
    from tests.storage.conftest import Example

SHARD = "0/c/1/0/0"


@pytest.fixture
def dataset(dataset_url: str, example: "Example") -> Dataset:
    dataset = Dataset.create(dataset_url, "test", example.table)
    write_case(dataset, "a", example.image, example.labels, example.grid)
    write_case(dataset, "b", example.image, None, example.grid)
    dataset.refresh()
    return dataset


def _flip(dataset: Dataset, key: str, place: float = 0.5) -> None:
    data = bytearray(dataset.store.read_bytes(f"cases/a.zarr/{key}"))
    data[int(len(data) * place)] ^= 16
    dataset.store.write_bytes(f"cases/a.zarr/{key}", bytes(data))


def _problems(dataset: Dataset) -> list[tuple[str, str, str]]:
    report = verify(dataset.url)
    assert report.is_sound == (not report.problems)
    return [(problem.case_id, problem.key, problem.code) for problem in report.problems]


def test_a_sound_dataset_is_sound(dataset: Dataset) -> None:
    seen: list[str] = []
    report = verify(dataset.url, on_progress=seen.append)
    assert report.is_sound
    assert report.catalog is CatalogState.FRESH
    assert report.num_cases == 2
    assert report.num_bytes == sum(row.num_bytes for row in dataset.catalog())
    assert report.leftovers == ()
    assert seen == ["a", "b"]


@pytest.mark.parametrize("key", [SHARD, "labels/bones/1/c/0/0/0", "zones/classes/c/0/0/0/0", "labels/bones/zarr.json"])
def test_a_flipped_bit_is_found(dataset: Dataset, key: str) -> None:
    _flip(dataset, key)
    assert _problems(dataset) == [("a", key, "wrong-bytes")]


def test_the_damaged_chunk_is_named(dataset: Dataset) -> None:
    """The 24 KiB of the shard's first chunks are random and hardly compress: a flip near the front is in the first."""
    _flip(dataset, SHARD, place=0.01)
    (problem,) = verify(dataset.url).problems
    assert "chunk (2, 0, 0) of shard c/1/0/0" in problem.detail


def test_a_lost_shard_is_found(dataset: Dataset) -> None:
    dataset.store.delete(f"cases/a.zarr/{SHARD}")
    assert _problems(dataset) == [("a", SHARD, "lost-object")]


def test_a_truncated_shard_is_found(dataset: Dataset) -> None:
    data = dataset.store.read_bytes(f"cases/a.zarr/{SHARD}")
    dataset.store.write_bytes(f"cases/a.zarr/{SHARD}", data[:-1])
    assert _problems(dataset) == [("a", SHARD, "wrong-size")]


def test_a_damaged_manifest_is_found(dataset: Dataset) -> None:
    dataset.store.write_bytes(f"cases/a.zarr/{ROOT_KEY}", b'{"zarr_format": 3}')
    assert _problems(dataset) == [("a", ROOT_KEY, "damaged-manifest")]


def test_a_case_that_vanished_is_found(dataset: Dataset) -> None:
    dataset.store.delete("cases/a.zarr")
    assert _problems(dataset) == [("a", "", "lost-case")]


def test_what_is_not_committed_is_listed_and_no_damage(dataset: Dataset, example: "Example") -> None:
    writer = CaseWriter.plan(dataset.store, "half", example.grid, example.table, has_labels=True)
    writer.begin("digest")
    example.write_rows(writer)
    dataset.store.write_bytes("cases/a.zarr/stray", b"xyz")
    report = verify(dataset.url)
    assert report.is_sound
    found = {leftover.case_id: (leftover.num_objects, leftover.num_bytes) for leftover in report.leftovers}
    sizes = dataset.store.sizes("cases/half.zarr")
    assert found == {"a": (1, 3), "half": (len(sizes), sum(sizes.values()))}
    assert len(sizes) == 1 + 2 * 2 * 2  # the claim; image and labels, levels, rows


@pytest.mark.parametrize(("content", "state"), [(None, CatalogState.MISSING), (b"PAR1 nonsense", CatalogState.DAMAGED)])
def test_repair_rebuilds_the_catalog(dataset: Dataset, content: bytes | None, state: CatalogState) -> None:
    rows = read_catalog(dataset.store)
    dataset.store.delete(CATALOG_KEY)
    if content is not None:
        dataset.store.write_bytes(CATALOG_KEY, content)
    report = verify(dataset.url)
    assert report.catalog is state
    assert report.is_sound == (state is CatalogState.MISSING)
    assert verify(dataset.url, repair=True).is_sound
    assert read_catalog(dataset.store) == rows
    assert verify(dataset.url).catalog is CatalogState.FRESH


def test_a_catalog_behind_its_cases_is_stale(dataset: Dataset, example: "Example") -> None:
    write_case(dataset, "c", example.image, None, example.grid)
    report = verify(dataset.url)
    assert report.catalog is CatalogState.STALE
    assert report.is_sound
    verify(dataset.url, repair=True)
    assert [row.case_id for row in read_catalog(dataset.store) or []] == ["a", "b", "c"]


def test_repair_works_beside_damage_and_still_reports_it(dataset: Dataset) -> None:
    dataset.store.delete(CATALOG_KEY)
    dataset.store.write_bytes(f"cases/a.zarr/{ROOT_KEY}", b"{}")
    report = verify(dataset.url, repair=True)
    assert [problem.code for problem in report.problems] == ["damaged-manifest"]
    assert [row.case_id for row in read_catalog(dataset.store) or []] == ["b"]


def test_what_is_no_dataset_is_said_so(dataset_url: str) -> None:
    with pytest.raises(BadInput, match="no-dataset"):
        verify(f"{dataset_url}/nothing")
