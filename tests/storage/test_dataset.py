from typing import TYPE_CHECKING

import numpy as np
import pytest

from osteon.core.errors import BadInput, CorruptData
from osteon.core.labels import LabelTable, table_for
from osteon.storage.catalog import CATALOG_KEY, CatalogRow, read_catalog
from osteon.storage.dataset import DATASET_KEY, Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import CaseWriter, write_case

if TYPE_CHECKING:
    from tests.storage.conftest import Example


@pytest.fixture
def dataset(dataset_url: str, example: "Example") -> Dataset:
    return Dataset.create(dataset_url, "test", example.table)


def _write(dataset: Dataset, example: "Example", *case_ids: str) -> None:
    for case_id in case_ids:
        write_case(dataset, case_id, example.image, example.labels, example.grid)


def test_opens_as_it_was_created(dataset: Dataset) -> None:
    assert Dataset.open(dataset.url) == dataset
    assert dataset.case_ids() == []


def test_creating_again_adds_labels(dataset: Dataset) -> None:
    wider = Dataset.create(dataset.url, "other name", table_for(["skull", "sacrum"]))
    assert wider.name == "test"
    assert wider.table.ids == dataset.table.ids | {"skull": 1}
    assert Dataset.open(dataset.url) == wider


@pytest.mark.parametrize("names", [{200: "another implant"}, {201: "implant"}])
def test_labels_that_clash_are_refused(dataset: Dataset, names: dict[int, str]) -> None:
    with pytest.raises(BadInput, match="label-conflict"):
        Dataset.create(dataset.url, "test", LabelTable.of(names))


def test_what_is_no_dataset_is_said_so(dataset_url: str) -> None:
    with pytest.raises(BadInput, match="no-dataset"):
        Dataset.open(f"{dataset_url}/nothing")


def test_a_damaged_description_is_said_so(dataset: Dataset) -> None:
    dataset.store.write_bytes(DATASET_KEY, b"{}")
    with pytest.raises(CorruptData, match="damaged-dataset"):
        Dataset.open(dataset.url)


def test_lists_committed_cases_with_and_without_a_catalog(dataset: Dataset, example: "Example") -> None:
    _write(dataset, example, "b", "a")
    writer = CaseWriter.plan(dataset.store, "half", example.grid, example.table, has_labels=True)
    writer.begin("digest")
    example.write_rows(writer)
    assert dataset.case_ids() == ["a", "b"]
    dataset.refresh()
    assert dataset.case_ids() == ["a", "b"]
    _write(dataset, example, "c")
    assert dataset.case_ids() == ["a", "b", "c"]
    assert dataset.folders() == ["a", "b", "c", "half"]


def test_a_catalog_row_sums_the_case_up(dataset: Dataset, example: "Example") -> None:
    _write(dataset, example, "a")
    dataset.refresh()
    (row,) = read_catalog(dataset.store) or []
    assert row == CatalogRow.of(dataset.case("a").manifest)
    assert row.shape == example.grid.shape
    assert row.spacing_mm == example.grid.spacing_mm
    assert row.labels == tuple(example.table.names)
    assert row.source_digest == example.provenance.source_digest
    stored = dataset.store.sizes("cases/a.zarr")
    assert row.num_bytes == sum(size for key, size in stored.items() if key != "cases/a.zarr/zarr.json")


def test_a_replaced_case_leaves_no_stale_row(dataset: Dataset, example: "Example", other_example: "Example") -> None:
    _write(dataset, example, "a")
    dataset.refresh()
    write_case(dataset, "a", other_example.image, None, other_example.grid, replace=True)
    assert dataset.catalog() == [CatalogRow.of(dataset.case("a").manifest)]


def test_a_damaged_catalog_is_said_so(dataset: Dataset) -> None:
    dataset.store.write_bytes(CATALOG_KEY, b"PAR1 nonsense")
    with pytest.raises(CorruptData, match="verify --repair"):
        dataset.catalog()


def test_the_fingerprint_tells_what_the_scans_are_like(dataset: Dataset, example: "Example") -> None:
    _write(dataset, example, "a", "b")
    write_case(dataset, "c", example.image[:40], None, example.grid.crop((0, 0, 0), (40, 80, 75)))
    fresh = dataset.fingerprint()
    dataset.refresh()
    found = dataset.fingerprint()
    assert found == fresh
    assert (found.num_cases, found.num_labelled) == (3, 2)
    assert found.shape == example.grid.shape
    assert found.spacing_mm == found.smallest_spacing_mm == found.largest_spacing_mm == example.grid.spacing_mm
    bone = example.image[example.labels != 0]
    assert found.foreground is not None
    assert found.foreground.mean_hu == pytest.approx(bone.mean())
    assert found.foreground.percentiles_hu[50.0] == np.percentile(bone, 50, method="inverted_cdf")
    assert found.whole is not None
    assert found.whole.mean_hu == pytest.approx(example.image.mean(), abs=30)


def test_an_empty_dataset_has_a_fingerprint(dataset: Dataset) -> None:
    dataset.refresh()
    found = dataset.fingerprint()
    assert found.num_cases == 0
    assert found.spacing_mm is None
    assert found.whole is None


def test_refreshing_keeps_the_labels_of_every_case(dataset: Dataset, example: "Example") -> None:
    _write(dataset, example, "a")
    record = dataset.store.read_bytes(DATASET_KEY).decode()
    shortened = "\n".join(line for line in record.splitlines() if "femur_left" not in line)
    dataset.store.write_bytes(DATASET_KEY, shortened.encode())
    assert "femur_left" not in Dataset.open(dataset.url).table.ids
    dataset.refresh()
    assert Dataset.open(dataset.url).table == example.table


def test_a_plain_path_and_its_url_are_one_dataset(tmp_path_factory: pytest.TempPathFactory, example: "Example") -> None:
    folder = tmp_path_factory.mktemp("with space")
    Dataset.create(str(folder), "test", example.table)
    assert Dataset.open(folder.as_uri()) == Dataset.open(open_store(str(folder)).url)
