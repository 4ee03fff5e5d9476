import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import zarr
from obstore.store import S3Store

from osteon.core.errors import BadInput, CorruptData
from osteon.core.volume import TrainingCase
from osteon.storage.case import open_case
from osteon.storage.dataset import Dataset
from osteon.storage.manifest import ROOT_KEY
from osteon.storage.pyramid import image_levels, label_levels
from osteon.storage.writer import Provenance, write_case

if TYPE_CHECKING:
    from tests.storage.conftest import Example


@pytest.fixture
def dataset(dataset_url: str, example: "Example") -> Dataset:
    dataset = Dataset.create(dataset_url, "test", example.table)
    write_case(dataset, "a", example.image, example.labels, example.grid)
    return dataset


def test_every_level_reads_back(dataset: Dataset, example: "Example") -> None:
    case: TrainingCase = dataset.case("a")
    assert case.num_levels == 2
    for level, expected in enumerate(image_levels(example.image, 2)):
        assert case.image(level).grid == example.grid.pooled(level)
        np.testing.assert_array_equal(case.image(level).read((0, 0, 0), expected.shape).result(), expected)
    for level, voted in enumerate(label_levels(example.labels, 2)):
        assert case.labels(level).dtype == np.uint8
        np.testing.assert_array_equal(case.labels(level).read((0, 0, 0), voted.shape).result(), voted)


def test_blocks_across_chunks_and_shards(dataset: Dataset, example: "Example") -> None:
    start, shape = (30, 17, 29), (40, 60, 46)
    block = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    image, labels = dataset.case("a").image(), dataset.case("a").labels()
    pending = [image.read(start, shape), labels.read(start, shape)]
    np.testing.assert_array_equal(pending[0].result(), example.image[block])
    np.testing.assert_array_equal(pending[1].result(), example.labels[block])


def test_blocks_outside_the_grid_are_refused(dataset: Dataset) -> None:
    image = dataset.case("a").image()
    for start, shape in (((-1, 0, 0), (2, 2, 2)), ((0, 0, 70), (1, 1, 6)), ((0, 0, 0), (0, 1, 1))):
        with pytest.raises(IndexError, match="not inside"):
            image.read(start, shape)


def test_zones_and_foreground_are_kept(dataset: Dataset, example: "Example") -> None:
    case = dataset.case("a")
    assert case.zones.hu_min.shape == (3, 3, 3)
    assert case.zones.block_max((0, 0, 0), (32, 32, 32)) == example.image[:32, :32, :32].max()
    assert case.foreground.counts == {id_: int((example.labels == id_).sum()) for id_ in example.table.names}
    for label, voxels in case.foreground.coordinates.items():
        assert voxels.dtype == np.int32
        assert (example.labels[tuple(voxels.T)] == label).all()


def test_a_case_without_labels(dataset: Dataset, example: "Example") -> None:
    write_case(dataset, "bare", example.image, None, example.grid)
    case = dataset.case("bare")
    assert not case.has_labels
    assert case.foreground.coordinates == {}
    assert case.zones.classes.shape == (3, 3, 3, 0)
    with pytest.raises(BadInput, match="no-labels"):
        case.labels()


def test_empty_labels_are_labels(dataset: Dataset, example: "Example") -> None:
    write_case(dataset, "empty", example.image, np.zeros_like(example.labels), example.grid)
    case = dataset.case("empty")
    assert case.has_labels
    assert case.foreground.counts == {}
    assert not case.labels().read((0, 0, 0), example.grid.shape).result().any()


def test_provenance_and_table_are_kept(dataset: Dataset, example: "Example") -> None:
    source = example.provenance
    kept = Provenance(
        "dicom", "d" * 64, source.source_grid, source.reorientation, ("one slice dropped",), {"kvp": "120"}, "e" * 64
    )
    write_case(dataset, "b", example.image, example.labels, example.grid, kept)
    case = dataset.case("b")
    assert case.provenance == kept
    assert case.table == example.table
    assert case.grid == example.grid


def test_cases_and_volumes_can_be_sent_to_other_processes(dataset: Dataset, example: "Example") -> None:
    case = dataset.case("a")
    volume = case.image()
    volume.read((0, 0, 0), (1, 1, 1)).result()
    for sent in (pickle.loads(pickle.dumps(volume)), pickle.loads(pickle.dumps(case)).image()):
        np.testing.assert_array_equal(sent.read((5, 5, 5), (9, 9, 9)).result(), example.image[5:14, 5:14, 5:14])


def test_plain_zarr_python_reads_every_voxel(dataset: Dataset) -> None:
    store: str | zarr.storage.ObjectStore[S3Store] = f"{dataset.url}/cases/a.zarr"
    if dataset.store.local_path is None:
        bucket, prefix = dataset.store.child("cases", "a.zarr").bucket_and_prefix
        client = S3Store(bucket, prefix=prefix, client_options={"allow_http": True})
        store = zarr.storage.ObjectStore(client, read_only=True)
    case = dataset.case("a")
    for use_consolidated in (True, False):
        group = zarr.open_group(store, mode="r", use_consolidated=use_consolidated)
        for level in range(case.num_levels):
            for path, volume in ((str(level), case.image(level)), (f"labels/bones/{level}", case.labels(level))):
                array = group[path]
                assert isinstance(array, zarr.Array)
                np.testing.assert_array_equal(array[:], volume.read((0, 0, 0), volume.grid.shape).result())
                assert array.metadata.to_dict()["dimension_names"] == ("z", "y", "x")
        classes = group["zones/classes"]
        assert isinstance(classes, zarr.Array)
        np.testing.assert_array_equal(classes[:], case.zones.classes)


@pytest.mark.parametrize("place", [0.1, 0.5, 0.9])
def test_a_flipped_bit_in_the_root_document_is_found(dataset: Dataset, place: float) -> None:
    key = f"cases/a.zarr/{ROOT_KEY}"
    data = bytearray(dataset.store.read_bytes(key))
    digits = [n for n, byte in enumerate(data) if chr(byte).isdigit()]
    data[digits[int(len(digits) * place)]] ^= 1
    dataset.store.write_bytes(key, bytes(data))
    with pytest.raises(CorruptData, match="damaged-manifest"):
        dataset.case("a")


def test_what_is_not_a_case_is_said_so(dataset_url: str, dataset: Dataset) -> None:
    for url in (dataset_url, f"{dataset.url}/cases/nothing.zarr"):
        with pytest.raises(BadInput, match="no-case"):
            open_case(url)


def test_tables_of_two_cases_are_read_at_the_same_time(
    dataset: Dataset, example: "Example", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sampler surveys thousands of cases: no lock may be held over all of them while one is read."""
    write_case(dataset, "b", example.image, example.labels, example.grid)
    both = threading.Barrier(2, timeout=20)
    monkeypatch.setattr("osteon.storage.case.open_array", lambda *_: both.wait() and None)
    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(lambda case: case.foreground, dataset.case(case_id)) for case_id in ("a", "b")]
        errors = [reader.exception(timeout=30) for reader in readers]
    assert not any(isinstance(error, threading.BrokenBarrierError) for error in errors), errors
