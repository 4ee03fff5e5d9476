"""What is not there yet, or not there for a while, is waited for: nodes of a cluster, and its store."""

import json
import re
import shutil
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml
from faulty import Fault, FaultyS3, proxy
from ray_cluster import RayCluster, ray_cluster
from seaweed import S3Server
from tiny_model import write_model

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.sweep_folder import SweepFolder, TrialKey
from osteon.storage.dataset import Dataset
from osteon.storage.stores import Store, open_store
from osteon.storage.verify import verify
from osteon.storage.writer import write_case

PATIENCE_S = 900.0
OUTAGE_S = 25.0  # more than any call waits for by itself
CASES, STEPS, TRIAL_STEPS = 20, 200, 100
TRIALS = [TrialKey(configuration="c000", repeat=0, fold=fold) for fold in (0, 1)]

Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def gate(s3: S3Server) -> Iterator[FaultyS3]:
    """What stands between the cluster and its store."""
    with proxy(s3.endpoint) as running:
        yield running


@pytest.fixture(scope="module")
def empty_cluster(s3: S3Server, gate: FaultyS3) -> Iterator[RayCluster]:
    """A head that computes nothing; the nodes are yet to come."""
    with ray_cluster(0, None, **s3.env | {"AWS_ENDPOINT_URL": gate.endpoint}) as running:
        yield running


@dataclass(frozen=True)
class Work:
    """Three jobs at once, and how far they are."""

    store: Store

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.store.child("run"))

    @property
    def sweep(self) -> SweepFolder:
        return SweepFolder(self.store.child("sweep"))

    @property
    def labelled(self) -> Store:
        return self.store.child("labelled")

    def reached(self) -> tuple[int, int, int]:
        """Steps of the run, of the sweep's first trial, and cases that are labelled."""
        cases = sum(key.count("/") == 2 and key.endswith("zarr.json") for key in self.labelled.list("cases"))
        return len(steps(self.run)), len(steps(self.sweep.run(TRIALS[0]))), cases


@pytest.fixture
def work(s3_url: str, tiny_dataset: Callable[[str, int], Dataset]) -> Work:
    """A store with scans to learn from and an archive to label."""
    tiny_dataset(f"{s3_url}/data", 4)
    archive, rng = Dataset.create(f"{s3_url}/archive", "noise", LabelTable(())), np.random.default_rng(0)
    for number in range(CASES):
        hu = rng.integers(-1000, 1500, (24, 24, 24)).astype(np.int16)
        write_case(archive, f"scan{number}", hu, None, Grid(hu.shape, (1.5, 1.5, 1.5)))
    archive.refresh()
    return Work(open_store(s3_url))


@pytest.fixture
def begin(
    work: Work, empty_cluster: RayCluster, gate: FaultyS3, recipe: str, tmp_path: Path, launch: Launch
) -> Callable[[], dict[str, subprocess.Popen[str]]]:
    """Starts the three jobs."""
    env = {**empty_cluster.env, "RAY_ADDRESS": empty_cluster.address, "AWS_ENDPOINT_URL": gate.endpoint}
    url, model = work.store.url, write_model(tmp_path / "model")
    shutil.copy(recipe, tmp_path / "tiny.yaml")
    rhythm = {"training.checkpoint_every": 10, "training.validate_every": 100_000}
    sweep = {
        "name": "tiny",
        "recipe": str(tmp_path / "tiny.yaml"),
        "settings": {"training.steps": TRIAL_STEPS, **rhythm},
        "space": {"optim.learning_rate": [0.01]},
        "folds": {"count": 2},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    sets = [word for key, value in {"training.steps": STEPS, **rhythm}.items() for word in ("--set", f"{key}={value}")]
    data, archive = f"{url}/data", f"{url}/archive"
    commands: dict[str, list[object]] = {
        "train": ["train", recipe, "--data", data, "--out", f"{url}/run", "--cpus", 2, *sets],
        "sweep": ["sweep", tmp_path / "sweep.yaml", "--data", data, "--out", f"{url}/sweep"],
        "predict": ["predict", model, "--data", archive, "--out", f"{url}/labelled", "--concurrency", 1, "--cpus", 1],
    }
    return lambda: {name: launch(*words, "--json", **env) for name, words in commands.items()}


def steps(run: RunFolder) -> list[int]:
    return [line["step"] for line in run.metrics() if line["kind"] == "train"]


def wait_until(seen: Callable[[], object], jobs: dict[str, subprocess.Popen[str]]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not seen():
        assert time.monotonic() < until
        for name, job in jobs.items():
            assert job.poll() in (None, 0), f"{name}: {job.communicate()[1]}"
        time.sleep(0.5)


def at_rest(look: Callable[[], tuple[int, int, int]]) -> tuple[int, int, int]:
    """What is seen when it no longer changes."""
    before, seen = None, look()
    while seen != before:
        time.sleep(3)
        before, seen = seen, look()
    return seen


def held(cluster: RayCluster) -> list[dict[str, float]]:
    """What each lone worker that trains holds, as Ray's own dashboard tells."""
    headers = {"Authorization": f"Bearer {cluster.token}"}
    answer = httpx.get(f"{cluster.jobs_url}/api/v0/tasks?detail=1", headers=headers, timeout=60)
    tasks: list[dict[str, Any]] = answer.json()["data"]["result"]["result"]
    return [task["required_resources"] for task in tasks if (task["name"], task["state"]) == ("train_alone", "RUNNING")]


def told(cluster: RayCluster) -> dict[str, float]:
    """What Prometheus would be told of jobs by all nodes, added up by name and our own labels."""
    found: defaultdict[str, float] = defaultdict(float)
    for node in cluster.nodes:
        text = httpx.get(f"http://{node.metrics}/metrics", timeout=60).text
        for name, labels, value in re.findall(r"^ray_(osteon_job_\w+)\{(.*)\} (\S+)$", text, re.M):
            ours = re.findall(r'\b(?:kind|outcome)="(\w+)"', labels)
            found[" ".join([name, *sorted(ours)])] += float(value)
    return found


@pytest.mark.slow
def test_jobs_wait_for_the_first_node_and_for_a_store_that_is_away(
    work: Work, empty_cluster: RayCluster, gate: FaultyS3, begin: Callable[[], dict[str, subprocess.Popen[str]]]
) -> None:
    # Nobody is done before the others have begun.
    slow = [gate.inject(Fault.SLOW, "PUT", part, times=1 << 30) for part in ("/checkpoints/", "/labelled/cases/")]
    jobs = begin()
    lines = {}
    for name, job in jobs.items():
        assert job.stderr is not None
        lines[name] = job.stderr.readline().strip()
    waiting = "waiting for {}; the cluster has 0 CPUs; Ctrl-C stops"
    assert lines == {
        "train": waiting.format("2 CPUs"), "sweep": waiting.format("1 CPU"), "predict": waiting.format("1 CPU")
    }  # fmt: skip

    empty_cluster.add_node(num_cpus=5)
    wait_until(lambda: {"CPU": 2.0} in held(empty_cluster), jobs)
    wait_until(lambda: all(work.reached()), jobs)
    with gate.outage(Fault.SLOW_DOWN):
        before = at_rest(work.reached)  # after what was under way
        time.sleep(OUTAGE_S)
        assert work.reached() == before
    for trap in slow:
        assert trap.sprung
        trap.times = 0
    assert all(done < all_ for done, all_ in zip(before, (STEPS, TRIAL_STEPS, CASES), strict=True)), "begun too late"
    assert all(job.poll() is None for job in jobs.values())

    seen: dict[str, float] = {}  # the most of each: what a process counted goes with it

    def are_over() -> bool:
        seen.update({name: max(value, seen.get(name, 0.0)) for name, value in told(empty_cluster).items()})
        return all(job.poll() is not None for job in jobs.values())

    wait_until(are_over, jobs)
    for name, job in jobs.items():
        out, err = job.communicate()
        assert job.returncode == 0, f"{name}: {err}"
        json.loads(out)
    assert steps(work.run) == list(range(1, STEPS + 1))
    for key in TRIALS:
        outcome = work.sweep.outcome(key)
        assert outcome is not None
        assert outcome.status == "done", outcome.error
        assert steps(work.sweep.run(key)) == list(range(1, TRIAL_STEPS + 1))
    assert work.reached()[2] == CASES
    assert verify(work.labelled.url).is_sound
    assert not work.labelled.list("quarantine")

    for name in ("cases_total predict predicted", "labelled_voxels_total", "training_steps_total"):
        assert seen[f"osteon_job_{name}"] > 0, seen
    for kind in ("predict", "train"):
        waited, computed = (seen[f"osteon_job_{name}_seconds_total {kind}"] for name in ("waiting", "computing"))
        assert 0 < waited < computed
