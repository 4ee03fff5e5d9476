"""One case as its driver sees it, when schedulers and stores fail."""

from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path

import dask.threaded
import pytest

from osteon.core.errors import StoreError
from osteon.jobs.graph import Graph, RunEnded
from osteon.jobs.ingest_lane import Lane
from osteon.jobs.quarantine import Quarantine
from osteon.storage.dataset import Dataset
from osteon.storage.importers import CaseSource, plan_import
from osteon.storage.stores import Store
from osteon.telemetry.metrics import Metric

AddScan = Callable[..., Path]


@pytest.fixture
def case(scans: Path, add_scan: AddScan) -> CaseSource:
    add_scan("a")
    (found,) = plan_import([scans]).cases
    assert isinstance(found, CaseSource)
    return found


@pytest.fixture
def lane(scans: Path, case: CaseSource, tmp_path: Path) -> Callable[..., Lane]:
    """A lane whose scheduler meets ``trouble`` when a graph's key begins with ``key``."""
    dataset = Dataset.create(str(tmp_path / "dataset"), "dataset", plan_import([scans]).table)
    del case

    def make(key: str = "", trouble: Exception | None = None) -> Lane:
        def get(graph: Graph, wanted: str) -> object:
            if trouble is not None and wanted.startswith(key):
                raise trouble
            return dask.threaded.get(graph, wanted, num_workers=1)

        return Lane(get, dataset, {}, Quarantine(dataset.store), tmp_path)

    return make


def test_a_case_whose_workers_die_is_quarantined(lane: Callable[..., Lane], case: CaseSource) -> None:
    outcome = lane("commit", RuntimeError("killed")).take(case)
    assert (outcome.status, outcome.code) == ("quarantined", "worker-lost")
    assert lane().take(case).status == "ingested"


def test_what_becomes_of_cases_is_counted(lane: Callable[..., Lane], case: CaseSource) -> None:
    told: list[tuple[str, float, tuple[str, ...]]] = []

    def count(metric: Metric, value: float, *labels: str) -> None:
        told.append((metric.name, value, labels))

    for run in (lane("commit", RuntimeError("killed")), lane()):
        replace(run, count=count).take(case)
    size = Path(case.scan.files[0]).stat().st_size
    assert told == [
        ("osteon_job_cases_total", 1, ("ingest", "quarantined")),
        ("osteon_job_read_bytes_total", 0, ("ingest",)),
        ("osteon_job_cases_total", 1, ("ingest", "ingested")),
        ("osteon_job_read_bytes_total", size, ("ingest",)),
    ]


def test_a_lost_scheduler_ends_the_run_and_accuses_no_case(lane: Callable[..., Lane], case: CaseSource) -> None:
    run = lane("open", CancelledError())
    with pytest.raises(RunEnded, match="scheduler-lost"):
        run.take(case)
    assert run.dataset.store.list("quarantine") == []


def test_a_stopped_run_accuses_no_case(lane: Callable[..., Lane], case: CaseSource) -> None:
    run = lane("commit", RuntimeError("cannot schedule new futures after shutdown"))
    run.stopping.set()
    with pytest.raises(RunEnded, match="stopped"):
        run.take(case)
    assert run.dataset.store.list("quarantine") == []


def test_a_store_that_fails_for_one_case_is_that_cases_outcome(
    lane: Callable[..., Lane], case: CaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Store.write_bytes

    def refuse_shards(self: Store, key: str, data: bytes) -> None:
        if "/c/" in key:
            raise StoreError("store-failed", "503 SlowDown", where=key)
        put(self, key, data)

    with monkeypatch.context() as patched:
        patched.setattr(Store, "write_bytes", refuse_shards)
        assert lane().take(case).code == "store-failed"
    assert lane().take(case).status == "ingested"
    assert lane().dataset.store.list("quarantine") == []


def test_a_store_that_refuses_even_the_quarantine_ends_the_run(
    lane: Callable[..., Lane], case: CaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lane()

    def refuse(self: Store, key: str, data: bytes) -> None:
        raise StoreError("store-denied", "403", where=self.child(key).url + str(len(data)))

    monkeypatch.setattr(Store, "write_bytes", refuse)
    with pytest.raises(StoreError, match="store-denied"):
        run.take(case)


@pytest.mark.parametrize(
    ("trouble", "code"),
    [
        (MemoryError(), "out-of-memory"),
        (OSError(28, "No space left on device"), "disk-full"),
        (PermissionError(13, "Permission denied"), "unreadable"),
        (ZeroDivisionError("a fault of our own"), "internal-error"),
    ],
)
def test_what_no_reader_foresaw_is_still_one_cases_outcome(
    trouble: Exception, code: str, lane: Callable[..., Lane], case: CaseSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise trouble

    monkeypatch.setattr("osteon.jobs.ingest_case.open_scan", fail)
    assert lane().take(case).code == code
