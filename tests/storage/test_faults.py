"""Faults in which nothing may get lost: bits, shards, kills, full disks, and an object store that misbehaves."""

import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from faulty import Fault, FaultyS3

from osteon.core.errors import BadInput, CorruptData, StoreError
from osteon.storage.dataset import Dataset
from osteon.storage.integrity import damages
from osteon.storage.manifest import ROOT_KEY
from osteon.storage.stores import Store
from osteon.storage.verify import verify
from osteon.storage.writer import CaseWriter, write_case

if TYPE_CHECKING:
    from tests.storage.conftest import Example

CASE = "cases/a.zarr"


def _write(url: str, example: "Example") -> Dataset:
    dataset = Dataset.create(url, "test", example.table)
    write_case(dataset, "a", example.image, example.labels, example.grid)
    return dataset


def _read(dataset: Dataset) -> None:
    image = dataset.case("a").image()
    image.read((0, 0, 0), image.grid.shape).result()


def _objects(store: Store) -> dict[str, bytes]:
    """Everything but root documents, which hold a random write id."""
    return {key: store.read_bytes(key) for key in store.list() if not key.endswith(f".zarr/{ROOT_KEY}")}


class TestDamage:
    def test_no_flipped_bit_of_a_shard_is_read_as_voxels(self, tmp_path: Path, make: Callable[..., "Example"]) -> None:
        """Every part of a shard: chunks, their checksums, the index and its checksum."""
        dataset = _write(str(tmp_path), make((20, 40, 20)))
        key = f"{CASE}/0/c/0/0/0"
        intact = dataset.store.read_bytes(key)
        for place in [*range(0, len(intact), len(intact) // 60), *range(len(intact) - 70, len(intact))]:
            data = bytearray(intact)
            data[place] ^= 1 << place % 8
            dataset.store.write_bytes(key, bytes(data))
            with pytest.raises(CorruptData, match="damaged-chunk"):
                _read(dataset)

    def test_a_flipped_bit_names_case_array_and_chunk(self, dataset_url: str, example: "Example") -> None:
        dataset = _write(dataset_url, example)
        key = f"{CASE}/labels/bones/0/c/1/0/0"
        data = bytearray(dataset.store.read_bytes(key))
        data[40] ^= 1  # behind the blosc header of the first chunk
        dataset.store.write_bytes(key, bytes(data))
        labels = dataset.case("a").labels()
        with pytest.raises(CorruptData) as caught:
            labels.read((0, 0, 0), labels.grid.shape).result()
        assert caught.value.where == "case a, array labels/bones/0, chunk (2, 0, 0) of shard c/1/0/0"
        labels.read((0, 0, 0), (64, 80, 75)).result()  # the other shard is as it was
        assert [problem.key for problem in verify(dataset.url).problems] == ["labels/bones/0/c/1/0/0"]

    def test_a_lost_shard_is_an_error_not_air(self, dataset_url: str, example: "Example") -> None:
        dataset = _write(dataset_url, example)
        dataset.store.delete(f"{CASE}/0/c/1/0/0")
        with pytest.raises(CorruptData, match=r"case a, array 0, chunk \(2, 0, 0\).*lost-shard"):
            dataset.case("a").image().read((64, 0, 0), (1, 1, 1)).result()

    def test_a_damaged_zone_map_is_an_error(self, dataset_url: str, example: "Example") -> None:
        dataset = _write(dataset_url, example)
        dataset.store.delete(f"{CASE}/zones/hu_max/c/0/0/0")
        with pytest.raises(CorruptData, match="zones/hu_max"):
            _ = dataset.case("a").zones


KILLED = """
    import os, signal, sys

    import numpy as np
    from osteon.core.geometry import Grid
    from osteon.core.labels import table_for
    from osteon.storage import commit, folder, rows
    from osteon.storage.dataset import Dataset
    from osteon.storage.writer import write_case

    url, array, point = sys.argv[1:]
    voxels = np.load(array)

    def die(*arguments):
        os.kill(os.getpid(), signal.SIGKILL)

    if point == "between shards":
        put = rows._put
        rows._put = lambda plan, key, data: die() if key == "1/c/1/0/0" else put(plan, key, data)
    if point == "within a shard":
        write = folder.Path.write_bytes

        def torn(path, data):
            write(path, data[: len(data) // 2])
            die() if len(data) > 9999 else write(path, data)

        folder.Path.write_bytes = torn
    if point == "before the commit":
        commit._put_root = die
    dataset = Dataset.open(url)
    write_case(dataset, "a", voxels["image"], voxels["labels"], Grid(voxels["image"].shape, (1.5, 0.75, 0.8)))
"""


class TestKills:
    @pytest.mark.parametrize("point", ["between shards", "within a shard", "before the commit"])
    def test_a_killed_writer_leaves_no_case_and_the_next_run_the_same_bytes(
        self, tmp_path: Path, example: "Example", point: str
    ) -> None:
        grid = replace(example.grid, origin_mm=(0.0, 0.0, 0.0))
        whole, killed = (Dataset.create(str(tmp_path / name), "test", example.table) for name in ("whole", "killed"))
        np.savez(tmp_path / "voxels.npz", image=example.image, labels=example.labels)
        command = [sys.executable, "-c", textwrap.dedent(KILLED), killed.url, str(tmp_path / "voxels.npz"), point]
        assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
        assert killed.case_ids() == []
        with pytest.raises(BadInput, match="no-case"):
            killed.case("a")
        assert verify(killed.url).leftovers[0].case_id == "a"

        for dataset in (whole, killed):
            write_case(dataset, "a", example.image, example.labels, grid)
        assert _objects(whole.store) == _objects(killed.store)
        roots = [dataset.case("a").manifest.model_copy(update={"write_id": ""}) for dataset in (whole, killed)]
        assert roots[0] == roots[1]
        assert not list((tmp_path / "killed").rglob(".*"))


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB: a tmpfs where mounting is allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not permitted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


class TestFullDisk:
    def test_is_a_clear_error_and_leaves_no_case(self, tiny_disk: Path, make: Callable[..., "Example"]) -> None:
        dataset = Dataset.create(str(tiny_disk), "test", make().table)
        small, large = make((40, 40, 40)), make((130, 80, 75))
        write_case(dataset, "small", small.image, small.labels, small.grid)
        with pytest.raises(StoreError, match=r"store-full.*make room"):
            write_case(dataset, "large", large.image, large.labels, large.grid)
        assert dataset.case_ids() == ["small"]
        assert not list(tiny_disk.rglob(".*.tmp"))
        assert verify(dataset.url).is_sound

    def test_a_file_size_limit_too(self, tmp_path: Path, example: "Example") -> None:
        dataset = Dataset.create(str(tmp_path), "test", example.table)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        try:
            with pytest.raises(StoreError, match="store-full"):
                write_case(dataset, "a", example.image, example.labels, example.grid)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert dataset.case_ids() == []
        write_case(dataset, "a", example.image, example.labels, example.grid)
        assert verify(dataset.url).is_sound


class TestObjectStore:
    @pytest.fixture
    def dataset(self, faulty: FaultyS3, s3_url: str, example: "Example") -> Dataset:
        assert faulty.endpoint
        return Dataset.create(s3_url, "test", example.table)

    @pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET, Fault.LOST_ANSWER])
    def test_writes_are_tried_again(self, faulty: FaultyS3, dataset: Dataset, example: "Example", fault: Fault) -> None:
        traps = [faulty.inject(fault, "PUT", part, times=2) for part in ("/0/c/1/", "/labels/bones/0/c/0/")]
        traps.append(faulty.inject(fault, "PUT", "zones/hu_min/zarr.json"))
        write_case(dataset, "a", example.image, example.labels, example.grid)
        assert [trap.times for trap in traps] == [0, 0, 0]
        assert verify(dataset.url).is_sound

    @pytest.mark.parametrize("fault", [Fault.SLOW_DOWN, Fault.RESET, Fault.TRUNCATED, Fault.LOST_ANSWER])
    def test_reads_are_tried_again(self, faulty: FaultyS3, dataset: Dataset, example: "Example", fault: Fault) -> None:
        write_case(dataset, "a", example.image, example.labels, example.grid)
        parts = (f"{CASE}/{ROOT_KEY}", f"{CASE}/0/c/0/0/0", f"{CASE}/0/c/1/0/0", "list-type=2")
        traps = [faulty.inject(fault, "GET", part) for part in parts]
        image = dataset.case("a").image().read((0, 0, 0), example.grid.shape).result()
        np.testing.assert_array_equal(image, example.image)
        assert verify(dataset.url).is_sound
        assert [trap.sprung for trap in traps] == [1, 1, 1, 1]

    def test_a_lost_answer_to_the_commit_is_not_taken_for_a_conflict(
        self, faulty: FaultyS3, dataset: Dataset, example: "Example"
    ) -> None:
        """The retried PUT finds the object and the server says 412; the write id shows that it is our own."""
        writer = CaseWriter.plan(dataset.store, "a", example.grid, example.table, has_labels=True)
        trap = faulty.inject(Fault.LOST_ANSWER, "PUT", f"{CASE}/{ROOT_KEY}")
        writer.begin(example.provenance.source_digest)
        assert writer.commit(example.write_rows(writer), example.provenance)
        assert trap.sprung == 1
        assert dataset.case_ids() == ["a"]

    def test_a_lost_answer_to_the_claim_is_not_taken_for_a_conflict(
        self, faulty: FaultyS3, dataset: Dataset, example: "Example"
    ) -> None:
        writer = CaseWriter.plan(dataset.store, "a", example.grid, example.table, has_labels=True)
        trap = faulty.inject(Fault.LOST_ANSWER, "PUT", "claim.json")
        assert writer.begin(example.provenance.source_digest)
        assert trap.sprung == 1

    def test_denied_in_mid_run_is_a_clear_error_and_the_next_run_goes_on(
        self, faulty: FaultyS3, dataset: Dataset, example: "Example"
    ) -> None:
        faulty.inject(Fault.DENIED, "PUT", "/labels/bones/0/c/1/")
        with pytest.raises(StoreError, match=r"store-denied.*AWS_ACCESS_KEY_ID"):
            write_case(dataset, "a", example.image, example.labels, example.grid)
        assert dataset.case_ids() == []
        write_case(dataset, "a", example.image, example.labels, example.grid)
        assert not damages(dataset.store, CASE, dataset.case("a").root)

    def test_denied_while_reading_is_a_clear_error(
        self, faulty: FaultyS3, dataset: Dataset, example: "Example"
    ) -> None:
        write_case(dataset, "a", example.image, example.labels, example.grid)
        image = dataset.case("a").image()
        faulty.inject(Fault.DENIED, "GET", f"{CASE}/0/c/")
        with pytest.raises(StoreError, match=r"case a, array 0, .*store-denied") as caught:
            image.read((0, 0, 0), example.grid.shape).result()
        assert "\n" not in str(caught.value)
        np.testing.assert_array_equal(image.read((0, 0, 0), example.grid.shape).result(), example.image)

    def test_an_endless_outage_ends_in_a_clear_error(
        self, faulty: FaultyS3, dataset: Dataset, example: "Example"
    ) -> None:
        write_case(dataset, "a", example.image, example.labels, example.grid)
        faulty.inject(Fault.SLOW_DOWN, "GET", CASE, times=1000)
        began = time.monotonic()
        with pytest.raises(StoreError, match="503") as caught:
            dataset.case("a")
        assert "\n" not in str(caught.value)
        assert time.monotonic() - began < 60
