"""Every scheduler gives the same bytes, a cluster elsewhere included; a store that refuses stops them all."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from distributed import LocalCluster
from faulty import Fault, proxy
from seaweed import S3Server

from osteon.core.errors import BadInput, StoreError
from osteon.jobs import ingest_case
from osteon.jobs.ingest import ingest, open_scheduler
from osteon.storage.dataset import Dataset
from osteon.storage.importers import plan_import

OUTAGE_S = 25.0  # more than any call waits for by itself
AddScan = Callable[..., Path]
Contents = Callable[[str | Path], dict[str, bytes | str]]


@pytest.fixture
def by_threads(scans: Path, add_scan: AddScan, tmp_path: Path, contents: Contents) -> dict[str, bytes | str]:
    """What the thread scheduler writes: the reference."""
    add_scan("a", slices=150)
    add_scan("b", seed=1)
    ingest(plan_import([scans]), str(tmp_path / "reference"), scheduler="threads", num_workers=2)
    return contents(tmp_path / "reference")


@pytest.fixture
def address() -> Iterator[str]:
    """A Dask cluster that somebody else started."""
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["local", "ray"])
def test_schedulers_of_processes_write_the_same_bytes(
    scheduler: str, by_threads: dict[str, bytes | str], scans: Path, tmp_path: Path, contents: Contents
) -> None:
    summary = ingest(plan_import([scans]), str(tmp_path / "ds"), scheduler=scheduler, num_workers=2)
    assert [case.status for case in summary.cases] == ["ingested", "ingested"]
    assert contents(tmp_path / "ds") == by_threads


def test_a_cluster_at_an_address_writes_the_same_bytes(
    address: str, by_threads: dict[str, bytes | str], scans: Path, tmp_path: Path, contents: Contents
) -> None:
    ingest(plan_import([scans]), str(tmp_path / "ds"), scheduler=address)
    assert contents(tmp_path / "ds") == by_threads


def test_workers_that_do_not_see_the_drivers_scratch_write_the_same_bytes(
    by_threads: dict[str, bytes | str], scans: Path, tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("osteon.jobs.ingest_case.is_shared", lambda _: False)
    ingest(plan_import([scans]), str(tmp_path / "ds"), scheduler="threads", num_workers=2)
    assert contents(tmp_path / "ds") == by_threads


def test_a_worker_that_sees_the_scratch_writes_what_one_that_does_not_has_opened(
    by_threads: dict[str, bytes | str], scans: Path, tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: set[Path] = set()

    def is_elsewhere_at_first(job: ingest_case.CaseJob) -> bool:
        first = job.scratch not in asked
        asked.add(job.scratch)
        ingest_case._opened_here.cache_clear()  # what a worker decoded for itself no other one finds
        return not first

    monkeypatch.setattr("osteon.jobs.ingest_case.is_shared", is_elsewhere_at_first)
    ingest(plan_import([scans]), str(tmp_path / "ds"), scheduler="threads", num_workers=1)
    assert contents(tmp_path / "ds") == by_threads


def test_one_worker_writes_the_same_bytes_as_many(
    by_threads: dict[str, bytes | str], scans: Path, tmp_path: Path, contents: Contents
) -> None:
    ingest(plan_import([scans]), str(tmp_path / "ds"), scheduler="threads", num_workers=1)
    assert contents(tmp_path / "ds") == by_threads


def test_no_cluster_at_the_address(scans: Path, add_scan: AddScan, monkeypatch: pytest.MonkeyPatch) -> None:
    add_scan("a")
    monkeypatch.setattr("osteon.jobs.ingest.CONNECT_TIMEOUT_S", 1)
    with pytest.raises(BadInput, match="bad-scheduler"):
        ingest(plan_import([scans]), str(scans.parent / "ds"), scheduler="tcp://127.0.0.1:9")


def test_s3_holds_the_same_bytes(
    by_threads: dict[str, bytes | str], scans: Path, s3_url: str, contents: Contents
) -> None:
    ingest(plan_import([scans]), s3_url, scheduler="threads", num_workers=2)
    assert contents(s3_url) == by_threads
    assert Dataset.open(s3_url).case_ids() == ["a", "b"]


def test_wrong_credentials_end_the_run_with_one_line(
    scans: Path, add_scan: AddScan, s3_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_scan("a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(StoreError, match="store-denied"):
        ingest(plan_import([scans]), s3_url, scheduler="threads")


@pytest.mark.slow
def test_a_store_that_is_away_for_longer_than_a_call_waits_refuses_no_case(
    by_threads: dict[str, bytes | str],
    scans: Path,
    s3: S3Server,
    s3_url: str,
    contents: Contents,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with proxy(s3.endpoint) as gate, monkeypatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setenv("AWS_ENDPOINT_URL", gate.endpoint)
        slow = gate.inject(Fault.SLOW, "PUT", "/cases/", times=2)
        going = pool.submit(ingest, plan_import([scans]), s3_url, scheduler="threads", num_workers=2)
        while not slow.sprung:
            assert not going.done()
            time.sleep(0.05)
        with gate.outage(Fault.SLOW_DOWN):
            time.sleep(OUTAGE_S)
            assert not going.done()
        assert [case.status for case in going.result().cases] == ["ingested", "ingested"]
    assert contents(s3_url) == by_threads


def test_two_runs_on_one_machine_do_not_want_the_same_port() -> None:
    with open_scheduler("local", 1) as one, open_scheduler("local", 1) as other:
        for scheduler in (one, other):
            assert scheduler.get({"sum": (sum, [1, 2])}, "sum") == 3
