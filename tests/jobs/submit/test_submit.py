"""Jobs on a real cluster with a token: handed over once, followed to their end, stopped."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from ray_cluster import RayCluster
from seaweed import free_ports

from osteon.storage.dataset import Dataset

pytestmark = pytest.mark.slow  # a job starts in ten seconds
START_S = 300

Job = Callable[..., Path]


@pytest.fixture
def job(tmp_path: Path, dataset: Dataset, recipe: str) -> Job:
    """Writes a job that trains on the tiny dataset, with some arguments and keys; its file."""

    def write(arguments: dict[str, object] | None = None, **keys: object) -> Path:
        path = tmp_path / "job.yaml"
        common = {"recipe": recipe, "data": dataset.url, "out": str(tmp_path / "run")}
        path.write_text(yaml.safe_dump({"job": "train", "arguments": {**common, **(arguments or {})}, **keys}))
        return path

    return write


def command(cluster: RayCluster, *words: object, **env: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "osteon.cli.main", *map(str, words)]
    return subprocess.Popen(
        line, env={**os.environ, **cluster.env, **env}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def osteon(cluster: RayCluster, *words: object, **env: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command."""
    running = command(cluster, *words, **env)
    out, err = running.communicate(timeout=START_S)
    return running.returncode, out, err


def test_a_job_brings_its_recipe_and_is_done_once(cluster: RayCluster, job: Job) -> None:
    file = job({"dry-run": True, "set": ["training.steps=7"]}, name="look", labels={"team": "spine"})
    code, out, err = osteon(cluster, "submit", file, "--watch")
    assert code == 0, err
    assert "training on 3 cases" in out
    assert "steps: 7" in out
    assert "SUCCEEDED" in err
    code, out, _ = osteon(cluster, "submit", file)
    assert code == 0
    assert "nothing was submitted; --again" in out
    again = json.loads(osteon(cluster, "submit", file, "--again", "--watch", "--json")[1])
    assert again["id"].endswith("-2")
    assert (again["standing"], again["status"], again["exit_code"]) == ("submitted", "SUCCEEDED", 0)
    assert (again["name"], again["labels"]) == ("look", {"team": "spine"})
    listed = json.loads(osteon(cluster, "jobs", "list", "--json")[1])
    assert [each["id"] for each in listed][:2] == [again["id"], again["id"].removesuffix("-2")]


def test_a_failure_is_the_submitters_and_is_remembered(cluster: RayCluster, job: Job, tmp_path: Path) -> None:
    file = job({"data": str(tmp_path / "none")})
    code, out, err = osteon(cluster, "submit", file, "--watch")
    assert code == 2
    assert "[no-dataset]" in out
    assert "FAILED" in err
    code, out, _ = osteon(cluster, "submit", file)
    assert code == 2
    assert "with exit code 2: nothing was submitted" in out


def test_watching_ends_without_the_job_which_can_be_stopped(cluster: RayCluster, job: Job) -> None:
    file = job({"set": ["training.steps=1000000"]})
    id_ = json.loads(osteon(cluster, "submit", file, "--json")[1])["id"]
    watching = command(cluster, "submit", file, "--watch")
    assert watching.stdout is not None
    lines = [watching.stdout.readline()]
    assert "nothing was submitted" in lines[0]
    until = time.monotonic() + START_S
    while "loss" not in lines[-1]:  # a line of progress
        assert time.monotonic() < until
        lines.append(watching.stdout.readline())
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert f"the job goes on; osteon jobs stop {id_}" in err
    assert "RUNNING" in osteon(cluster, "jobs", "show", id_)[1]
    assert f"{id_} STOPPED" in osteon(cluster, "jobs", "stop", id_)[1]
    code, out, _ = osteon(cluster, "jobs", "logs", id_)
    assert code == 0
    assert "loss" in out


def test_what_stands_in_the_way_is_told_in_one_line(cluster: RayCluster) -> None:
    nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
    refusals = {
        "no-job": osteon(cluster, "jobs", "show", "train-0"),
        "wrong-token": osteon(cluster, "jobs", "list", RAY_AUTH_TOKEN="0" * 32),
        "no-token": osteon(cluster, "jobs", "list", RAY_AUTH_MODE="disabled"),
        "no-jobs-server": osteon(cluster, "jobs", "list", "--address", nobody),
        "bad-address": osteon(cluster, "jobs", "list", "--address", "head:8265"),
    }
    for refused, (code, out, err) in refusals.items():
        assert code in (1, 2)
        assert out == ""
        assert err.count("\n") == 1
        assert f"[{refused}]" in err
