"""What is killed in the middle of an ingest, and what the next run makes of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from osteon.jobs.ingest import ingest
from osteon.storage.dataset import Dataset
from osteon.storage.importers import plan_import

AddScan = Callable[..., Path]
Contents = Callable[[str | Path], dict[str, bytes | str]]
LONG = 40 * 64  # slices of a scan of forty rows: long enough to be met in the middle of it


def wait_until(true: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.005)


def shards(dataset: Path) -> list[Path]:
    return [path for path in dataset.glob("cases/*.zarr/0/c/**/*") if path.is_file()]


@pytest.fixture
def start(scans: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `osteon ingest` in a process of its own."""
    running: list[subprocess.Popen[str]] = []

    def begin(dataset: Path, *options: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "osteon.cli.main", "ingest", str(scans), str(dataset), *options]
        running.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
        )
        return running[-1]

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def descendants(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return list(psutil.Process(process.pid).children(recursive=True))


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert alive == []


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["threads", "local"])
def test_a_killed_driver_leaves_no_half_case_and_the_next_run_ends_it(
    scheduler: str,
    scans: Path,
    add_scan: AddScan,
    tmp_path: Path,
    contents: Contents,
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    add_scan("a", slices=LONG, side=40)
    add_scan("b", slices=LONG, side=40, seed=1)
    broken = tmp_path / "broken"
    process = start(broken, "--scheduler", scheduler, "--workers", "1")
    wait_until(lambda: shards(broken))
    workers = descendants(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert_gone(workers)
    half = {path.parts[-6] for path in shards(broken)} - {
        f"{name}.zarr" for name in Dataset.open(str(broken)).case_ids()
    }
    assert half, "killed too late to show anything"
    summary = ingest(plan_import([scans]), str(broken), scheduler="threads", num_workers=2)
    assert {case.status for case in summary.cases} <= {"ingested", "skipped"}
    ingest(plan_import([scans]), str(tmp_path / "unbroken"), scheduler="threads", num_workers=2)
    assert contents(broken) == contents(tmp_path / "unbroken")


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_run_ends_right(
    scans: Path,
    add_scan: AddScan,
    tmp_path: Path,
    contents: Contents,
    start: Callable[..., subprocess.Popen[str]],
) -> None:
    add_scan("a", slices=LONG, side=40)
    dataset = tmp_path / "ds"
    process = start(dataset, "--scheduler", "local", "--workers", "2", "--json")
    wait_until(lambda: shards(dataset))
    workers = [child for child in descendants(process) if "spawn_main" in " ".join(child.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert '"ingested"' in output
    ingest(plan_import([scans]), str(tmp_path / "unbroken"), scheduler="threads", num_workers=2)
    assert contents(dataset) == contents(tmp_path / "unbroken")


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["threads", "local", "ray"])
def test_an_interrupt_stops_cleanly_and_leaves_no_worker(
    scheduler: str, add_scan: AddScan, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    for number in range(4):
        add_scan(f"case-{number}", slices=LONG, side=40, seed=number)
    dataset = tmp_path / "ds"
    process = start(dataset, "--scheduler", scheduler, "--workers", "1")
    wait_until(lambda: shards(dataset))
    workers = descendants(process)
    os.killpg(process.pid, signal.SIGINT)  # what Ctrl-C does: the whole group gets it
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert_gone(workers)
    assert not (dataset / "quarantine").exists()


@pytest.mark.slow
def test_of_two_ingests_of_one_case_exactly_one_wins(
    scans: Path, add_scan: AddScan, tmp_path: Path, contents: Contents
) -> None:
    add_scan("a", slices=600)
    both = str(tmp_path / "both")
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(ingest, plan_import([scans]), both, scheduler="threads", num_workers=1) for _ in range(2)]
    outcomes = [run.result().cases[0] for run in runs]
    assert sorted(outcome.status for outcome in outcomes) == ["ingested", "skipped"]
    ingest(plan_import([scans]), str(tmp_path / "alone"), scheduler="threads", num_workers=1)
    assert contents(both) == contents(tmp_path / "alone")
