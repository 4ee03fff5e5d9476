"""Training through Ray Train: whole runs, workers and drivers killed in the middle, refusals. Each run is a process."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from osteon.jobs.run_folder import RunFolder
from osteon.recipes.bundle import load_bundle
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store

pytestmark = pytest.mark.slow
TIMEOUT_S = 240
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(recipe: str, dataset: Dataset, launch: Start) -> Start:
    """Starts `osteon train` with more arguments."""
    # A short check interval, so that a killed worker is noticed soon; as many threads as the unbroken run here.
    env = {"RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2", "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return lambda *more: launch("train", recipe, "--data", dataset.url, "--json", *more, **env)


def finished(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The summary a run printed."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, err
    summary: dict[str, Any] = json.loads(out)
    return summary


def folder_of(path: Path) -> RunFolder:
    return RunFolder(open_store(str(path)))


def curve(path: Path) -> list[tuple[int, float]]:
    return [(line["step"], line["loss"]) for line in folder_of(path).metrics() if line["kind"] == "train"]


def wait_for_step(path: Path, step: int, process: subprocess.Popen[str]) -> None:
    """Until a checkpoint of at least ``step`` is whole."""
    for _ in range(TIMEOUT_S * 50):
        if any(manifest.step >= step for manifest in folder_of(path).checkpoints.manifests()):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.02)
    raise TimeoutError(f"no checkpoint of step {step}")


def training_workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children(recursive=True)
    names = ("ray::train_alone", "RayTrainWorker")
    return [child for child in children if any(name in " ".join(child.cmdline()) for name in names)]


LONG = ("--set", "training.steps=150", "--set", "training.checkpoint_every=15")


@pytest.fixture
def unbroken(alone: Any, tmp_path: Path) -> list[tuple[int, float]]:
    """The curve of the long run without Ray and without interruption, in this process."""
    folder = alone.start(tmp_path / "unbroken", *LONG[1::2])
    alone.go_on(folder)
    return curve(tmp_path / "unbroken")


def test_run_leaves_a_model_and_a_second_one_is_refused(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "run"
    held_out = ("--set", "training.validation_cases=[case1]")
    summary = finished(start("--out", str(out), *held_out, "--resume"))  # there is nothing yet: it begins
    assert [step for step, _ in curve(out)] == list(range(1, 13))
    assert summary["steps"] == 12
    assert summary["bones"] == ["sacrum", "femur_left", "femur_right"]
    assert summary["dice"] == folder_of(out).checkpoints.manifests()[-1].dice
    assert load_bundle(summary["model"]).table.names == folder_of(out).record().labels
    again = start("--out", str(out), *held_out)
    _, err = again.communicate(timeout=TIMEOUT_S)
    assert again.returncode == 1
    assert "run-exists" in err
    assert "--resume" in err
    assert finished(start("--out", str(out), *held_out, "--resume")) == summary
    longer = finished(start("--out", str(out), *held_out, "--resume", "--set", "training.steps=15"))
    assert longer["steps"] == 15
    assert [step for step, _ in curve(out)] == list(range(1, 16))
    assert load_bundle(longer["model"]).recipe.training.steps == 15


def test_killed_worker_is_replaced_and_the_curve_is_the_unbroken_one(
    start: Start, tmp_path: Path, unbroken: list[tuple[int, float]]
) -> None:
    out = tmp_path / "run"
    process = start("--out", str(out), *LONG)
    wait_for_step(out, 30, process)
    (worker,) = training_workers(process)
    worker.send_signal(signal.SIGKILL)
    summary = finished(process)
    assert summary["steps"] == 150
    assert curve(out) == unbroken


def test_a_killed_worker_of_two_is_replaced(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = start("--out", str(out), "--workers", "2", *LONG)
    wait_for_step(out, 30, process)
    training_workers(process)[0].send_signal(signal.SIGKILL)
    assert finished(process)["steps"] == 150
    assert [step for step, _ in curve(out)] == list(range(1, 151))


def test_killed_driver_is_resumed_past_a_torn_checkpoint_and_the_curve_is_the_unbroken_one(
    start: Start, tmp_path: Path, unbroken: list[tuple[int, float]]
) -> None:
    out = tmp_path / "run"
    process = start("--out", str(out), *LONG)
    wait_for_step(out, 45, process)
    workers = training_workers(process)
    process.send_signal(signal.SIGKILL)
    psutil.wait_procs(workers, timeout=60)  # they notice that the driver is gone
    assert not (out / "model").exists()
    newest = folder_of(out).checkpoints.manifests()[-1].step
    state = out / "checkpoints" / f"step-{newest:09d}" / "state.pt"
    state.write_bytes(state.read_bytes()[:-10])
    assert finished(start("--out", str(out), *LONG, "--resume"))["steps"] == 150
    assert curve(out) == unbroken


def test_interrupted_run_says_so_and_can_be_resumed(
    start: Start, tmp_path: Path, unbroken: list[tuple[int, float]]
) -> None:
    out = tmp_path / "run"
    process = start("--out", str(out), *LONG)
    wait_for_step(out, 15, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130
    assert "--resume" in err
    assert finished(start("--out", str(out), *LONG, "--resume"))["steps"] == 150
    assert curve(out) == unbroken


def test_two_workers_share_the_work(start: Start, tmp_path: Path, alone: Any) -> None:
    out = tmp_path / "run"
    assert len(os.sched_getaffinity(0)) > 1, "needs two processors"
    validation = ("--set", "training.validation_cases=[case1,case2]")
    summary = finished(start("--out", str(out), "--workers", "2", *validation))
    assert summary["steps"] == 12
    judged = [line for line in folder_of(out).metrics() if line["kind"] == "validation"]
    assert judged[-1]["dice"] == summary["dice"]
    alone_folder = alone.start(tmp_path / "alone", validation[1])
    alone.go_on(alone_folder)
    assert curve(out) != curve(tmp_path / "alone")  # twice the patches per step


def test_a_refusal_on_a_worker_is_one_line(start: Start, tmp_path: Path, dataset: Dataset) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(Path(str(dataset.store.local_path)), copy)
    shard = next(
        path for path in (copy / "cases" / "case0.zarr" / "0").rglob("*") if path.suffix == "" and path.is_file()
    )
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    process = start("--data", str(copy), "--out", str(tmp_path / "run"))
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 1
    assert "case0" in err
    assert "Traceback" not in err


def test_dry_run_prints_the_plan_and_writes_nothing(start: Start, tmp_path: Path) -> None:
    out = tmp_path / "run"
    plan = finished(start("--out", str(out), "--dry-run", "--set", "training.validation_cases=[case2]"))
    assert plan["validation"] == ["case2"]
    assert plan["recipe"]["training"]["steps"] == 12
    assert plan["num_parameters"] > 0
    assert not out.exists()


@pytest.mark.parametrize("workers", ["0", "2:1", "two", "1000"])
def test_impossible_numbers_of_workers_are_refused(start: Start, tmp_path: Path, workers: str) -> None:
    process = start("--out", str(tmp_path / "run"), "--workers", workers)
    _, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 2
    assert "workers" in err
