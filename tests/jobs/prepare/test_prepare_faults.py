"""What is killed in the middle of a preparation, and what the next run makes of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import dask.threaded
import pytest

from osteon.core.labels import table_for
from osteon.data.prepare import PrepareSpec
from osteon.jobs.graph import Graph
from osteon.jobs.prepare import PrepareRequest, prepare
from osteon.jobs.prepare_case import PrepareJob
from osteon.jobs.prepare_lane import PrepareLane
from osteon.jobs.quarantine import Quarantine
from osteon.storage.dataset import Dataset

AddCase = Callable[..., Dataset]
Contents = Callable[[str | Path], dict[str, bytes | str]]
SPEC = PrepareSpec(femurs=True, spacing_mm=(1.0, 1.0, 1.0))
LONG = 640  # slices of 2 mm, so 1280 of the derived cases: twenty rows each


@pytest.fixture
def unbroken(tmp_path: Path, add_case: AddCase, contents: Contents) -> dict[str, bytes | str]:
    """What a run that nothing happens to writes of the cases of ``source``."""
    add_case(tmp_path / "source", "a")
    add_case(tmp_path / "source", "b", seed=2)
    prepare(_request(tmp_path, "unbroken"), scheduler="threads", num_workers=2)
    return contents(tmp_path / "unbroken")


def _request(folder: Path, out: str) -> PrepareRequest:
    return PrepareRequest(str(folder / "source"), str(folder / out), SPEC)


@pytest.mark.parametrize("lost", ["commit", "row", "plan"])
def test_a_run_whose_workers_die_is_ended_by_the_next(
    lost: str, tmp_path: Path, unbroken: dict[str, bytes | str], contents: Contents
) -> None:
    """The scheduler loses what computes the first case's ``lost`` tasks, and the case is quarantined."""
    out = Dataset.create(str(tmp_path / "out"), "out", table_for(["femur_right"]))

    def get(graph: Graph, key: str) -> object:
        if any(name.startswith(lost) for name in graph):
            dask.threaded.get(
                {name: task for name, task in graph.items() if not name.startswith("commit")}, list(graph)[:2]
            )
            raise RuntimeError("killed")
        return dask.threaded.get(graph, key, num_workers=1)

    source = Dataset.open(str(tmp_path / "source"))
    job = PrepareJob("a", source.store, None, out.store, out.table, SPEC, replace=False)
    outcomes = PrepareLane(get, {}, Quarantine(out.store)).take(job)
    assert {(outcome.status, outcome.code) for outcome in outcomes} == {("quarantined", "worker-lost")}
    assert out.case_ids() == []
    summary = prepare(_request(tmp_path, "out"), scheduler="threads", num_workers=2)
    assert summary.exit_code == 0
    assert contents(tmp_path / "out") == unbroken
    assert not list((tmp_path / "out").glob("quarantine/*.json"))


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["local", "ray"])
def test_schedulers_of_processes_write_the_same_bytes(
    scheduler: str, tmp_path: Path, unbroken: dict[str, bytes | str], contents: Contents
) -> None:
    prepare(_request(tmp_path, scheduler), scheduler=scheduler, num_workers=2)
    assert contents(tmp_path / scheduler) == unbroken


@pytest.mark.slow
def test_a_killed_driver_leaves_no_half_case_and_the_next_run_ends_it(
    tmp_path: Path, add_case: AddCase, contents: Contents
) -> None:
    add_case(tmp_path / "source", "a", slices=LONG)
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("name: femurs\nprepare: {femurs: true, spacing_mm: [1.0, 1.0, 1.0]}\n")
    broken = tmp_path / "broken"
    command = [sys.executable, "-m", "osteon.cli.main", "prepare", str(tmp_path / "source"), str(broken)]
    options = ["--recipe", str(recipe), "--scheduler", "threads", "--workers", "1"]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        end = time.monotonic() + 60
        while not any(path.is_file() for path in broken.glob("cases/*.zarr/0/c/**/*")):
            assert time.monotonic() < end, "no shard was ever written"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert Dataset.open(str(broken)).case_ids() != ["a-left", "a-right"], "killed too late to show anything"
    prepare(_request(tmp_path, "broken"), scheduler="threads", num_workers=2)
    prepare(_request(tmp_path, "unbroken"), scheduler="threads", num_workers=2)
    assert contents(broken) == contents(tmp_path / "unbroken")
