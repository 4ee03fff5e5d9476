"""Whole archives through Ray, unbroken and killed in the middle. Each is a process."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from processes import kill_tree
from ray_cluster import RayCluster

from osteon.jobs.predict_case import WORK
from osteon.storage.dataset import Dataset
from osteon.storage.verify import verify

TIMEOUT_S = 300
Start = Callable[..., subprocess.Popen[str]]
AddCase = Callable[..., Dataset]
Labels = Callable[..., dict[str, bytes]]
Workers = Callable[[], list[psutil.Process]]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def start(cluster: RayCluster, model: str, archive: Path, out: Path, launch: Start) -> Start:
    """Starts `osteon predict` on the cluster."""
    words = ("predict", model, "--data", archive, "--out", out, "--backend", "torch", "--json")
    return lambda *more: launch(*words, *more, **cluster.env, RAY_ADDRESS=cluster.address)


@pytest.fixture
def workers(cluster: RayCluster) -> Callable[[], list[psutil.Process]]:
    """The worker processes of any prediction on the cluster."""

    def find() -> list[psutil.Process]:
        nodes = [psutil.Process(node.process.pid) for node in cluster.nodes if node.process.poll() is None]
        family = [child for node in nodes for child in node.children(recursive=True)]
        return [child for child in family if child.is_running() and "ray::_Worker" in " ".join(_words(child))]

    return find


def _words(process: psutil.Process) -> list[str]:
    try:
        words: list[str] = process.cmdline()
    except psutil.Error:  # it ended meanwhile
        return []
    return words


def finished(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    """The summary that a run printed."""
    printed, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, err
    summary: dict[str, Any] = json.loads(printed)
    return summary


def statuses(summary: dict[str, Any]) -> dict[str, str]:
    return {case["case_id"]: case["status"] for case in summary["cases"]}


def wait_for(process: subprocess.Popen[str], seen: Callable[[], object]) -> None:
    """Until something is seen of a run that goes on."""

    def look() -> object:
        assert process.poll() is None, process.communicate()[1]
        return seen()

    wait_until(look)


def wait_until(seen: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not seen():
        assert time.monotonic() < end
        time.sleep(0.02)


def parts(out: Path) -> set[str]:
    """Labels of ranges that wait for the others."""
    return {path.name for path in (out / WORK).rglob("part-*.npz")}


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
def test_a_killed_driver_takes_its_workers_along_and_the_next_run_repeats_nothing(
    start: Start, out: Path, segmented: Labels, labels_of: Labels, workers: Workers
) -> None:
    process = start("--concurrency", "2")
    wait_for(process, lambda: parts(out))
    kill_tree(process.pid)
    wait_until(lambda: not workers())
    before, kept = parts(out), json.loads(next((out / WORK).rglob("ranges.json")).read_text())["ranges"]
    roots = {path: path.read_bytes() for path in (out / "cases").glob("*.zarr/zarr.json")}
    assert 0 < len(before) < len(kept), "killed too late to show anything"

    summary = finished(start("--concurrency", "2"))
    told = statuses(summary)
    assert {path: path.read_bytes() for path in roots} == roots
    left = sum(stop - first for number, (first, stop) in enumerate(kept) if f"part-{number}.npz" not in before)
    left += sum(depth for case_id, depth in (("a", 24), ("b", 30)) if told[case_id] == "predicted")
    assert summary["voxels"] == left * 24 * 24
    for case_id in told:
        assert labels_of(out / "cases" / f"{case_id}.zarr") == segmented(case_id)


@pytest.mark.slow
def test_what_a_killed_worker_held_is_done_by_another(
    start: Start, out: Path, segmented: Labels, labels_of: Labels, workers: Workers
) -> None:
    process = start("--concurrency", "2")
    wait_for(process, lambda: parts(out))
    workers()[0].kill()
    assert statuses(finished(process)) == dict.fromkeys(["a", "b", "long"], "predicted")
    assert labels_of(out / "cases" / "long.zarr") == segmented("long")


@pytest.mark.slow
def test_an_interrupt_ends_everything_and_keeps_what_is_done(start: Start, out: Path, workers: Workers) -> None:
    process = start("--concurrency", "2")
    wait_for(process, lambda: parts(out))
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1] == "osteon: interrupted; the same command goes on where it stopped"
    wait_until(lambda: not workers())
    assert (out / "catalog.parquet").exists()
