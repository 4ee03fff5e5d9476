"""Whole archives through Ray, unbroken and killed in the middle. Each is a process."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import kill_tree

from osteon.jobs.predict_case import WORK
from osteon.storage.dataset import Dataset
from osteon.storage.verify import verify

TIMEOUT_S = 300
Start = Callable[..., subprocess.Popen[str]]
AddCase = Callable[..., Dataset]
Labels = Callable[..., dict[str, bytes]]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def start(model: str, archive: Path, out: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `osteon predict`; whatever still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []
    environment = os.environ | {"OMP_NUM_THREADS": "1", "RAY_raylet_start_wait_time_s": str(TIMEOUT_S)}
    environment.pop("RAY_ADDRESS", None)

    def run(*arguments: str) -> subprocess.Popen[str]:
        words = ["predict", model, "--data", str(archive), "--out", str(out), "--backend", "torch", "--json"]
        process = subprocess.Popen(
            [sys.executable, "-m", "osteon.cli.main", *words, *arguments],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        kill_tree(process.pid)
        process.communicate()


def finished(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    """The summary that a run printed."""
    printed, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, err
    summary: dict[str, Any] = json.loads(printed)
    return summary


def statuses(summary: dict[str, Any]) -> dict[str, str]:
    return {case["case_id"]: case["status"] for case in summary["cases"]}


def wait_for(process: subprocess.Popen[str], seen: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not seen():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.02)


def parts(out: Path) -> dict[Path, tuple[bytes, int]]:
    """Labels of ranges that wait for the others; when each was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in (out / WORK).rglob("part-*.npz")}


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    return [child for child in children if "_Worker" in " ".join(child.cmdline())]


@pytest.mark.slow
def test_an_archive_becomes_a_dataset_and_what_is_new_is_added(
    start: Start, archive: Path, out: Path, segmented: Labels, labels_of: Labels, add_case: AddCase
) -> None:
    summary = finished(start())
    assert statuses(summary) == dict.fromkeys(["a", "b", "long"], "predicted")
    assert summary["voxels"] == (24 + 30 + 260) * 24 * 24
    assert 0 < summary["wait_share"] < 1
    assert summary["scans_per_hour"] == pytest.approx(3 * 3600 / summary["seconds"])
    for case_id in ("a", "b", "long"):
        assert labels_of(out / "cases" / f"{case_id}.zarr") == segmented(case_id)
    assert verify(str(out)).is_sound
    dataset = Dataset.open(str(out))
    assert list(dataset.table.ids) == ["sacrum", "femur_left", "femur_right"]

    add_case(archive, "new", seed=7)
    broken = next((archive / "cases" / "a.zarr" / "0").rglob("c/*/*/*"))
    broken.write_bytes(b"")
    add_case(archive, "torn", seed=8)
    next((archive / "cases" / "torn.zarr" / "0").rglob("c/*/*/*")).unlink()
    again = finished(start(), code=3)
    assert statuses(again) == {
        "a": "skipped", "b": "skipped", "long": "skipped", "new": "predicted", "torn": "quarantined"
    }  # fmt: skip
    entry = json.loads((out / "quarantine" / "torn.json").read_text())
    assert entry["code"] == "lost-shard"


@pytest.mark.slow
def test_a_killed_driver_is_gone_with_its_workers_and_the_next_run_repeats_nothing(
    start: Start, out: Path, segmented: Labels, labels_of: Labels
) -> None:
    process = start("--concurrency", "2")
    wait_for(process, lambda: parts(out))
    kill_tree(process.pid)
    before, done = parts(out), list((out / "cases").glob("*.zarr/zarr.json"))
    roots = {path: path.read_bytes() for path in done}
    kept = json.loads(next((out / WORK).rglob("ranges.json")).read_text())["ranges"]
    assert before
    assert len(before) < len(kept), "killed too late to show anything"
    second = start("--concurrency", "2")
    wait_for(second, lambda: second.poll() is not None or parts(out).keys() != before.keys() or not parts(out))
    summary = finished(second)
    assert statuses(summary).keys() == {"a", "b", "long"}
    assert {path: path.read_bytes() for path in done} == roots
    labelled = sum(stop - first for number, (first, stop) in enumerate(kept) if _name(number) not in _names(before))
    short = {"a": 24, "b": 30}
    for case_id, depth in short.items():
        labelled += depth if statuses(summary)[case_id] == "predicted" else 0
    assert summary["voxels"] == labelled * 24 * 24
    for case_id in ("a", "b", "long"):
        assert labels_of(out / "cases" / f"{case_id}.zarr") == segmented(case_id)


def _name(number: int) -> str:
    return f"part-{number}.npz"


def _names(there: dict[Path, tuple[bytes, int]]) -> set[str]:
    return {path.name for path in there}


@pytest.mark.slow
def test_what_a_killed_worker_held_is_done_by_another(
    start: Start, out: Path, segmented: Labels, labels_of: Labels
) -> None:
    process = start("--concurrency", "2")
    wait_for(process, lambda: parts(out))
    victim = workers(process)[0]
    victim.kill()
    assert statuses(finished(process)) == dict.fromkeys(["a", "b", "long"], "predicted")
    assert labels_of(out / "cases" / "long.zarr") == segmented("long")


@pytest.mark.slow
def test_an_interrupt_ends_everything_and_keeps_what_is_done(start: Start, out: Path) -> None:
    process = start("--concurrency", "2")
    wait_for(process, lambda: parts(out))
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "osteon: interrupted; the same command goes on where it stopped"
    _, alive = psutil.wait_procs(family, 60)
    assert alive == []
    assert (out / "catalog.parquet").exists()
