"""Graphs on a Ray of their own: those under way are cancelled when they are stopped, and Ray is there all the while."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import ray

from osteon.jobs.graph import RunEnded
from osteon.jobs.ray_graphs import RayGraphs
from osteon.jobs.ray_session import ray_session

pytestmark = pytest.mark.slow
LONG_S = 600.0


def add(one: int, other: int) -> int:
    return one + other


def take_long(begun: Path) -> None:
    begun.touch()
    time.sleep(LONG_S)


@pytest.fixture
def graphs(monkeypatch: pytest.MonkeyPatch) -> Iterator[RayGraphs]:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with ray_session(1):
        yield RayGraphs()


def test_what_is_under_way_is_cancelled_and_nothing_is_begun_after_it(graphs: RayGraphs, tmp_path: Path) -> None:
    assert graphs.get({"one": (add, 1, 2), "two": (add, "one", 3)}, "two") == 6
    with ThreadPoolExecutor(1) as lane:
        waiting = lane.submit(graphs.get, {"long": (take_long, tmp_path / "begun"), "next": (add, "long", 1)}, "next")
        while not (tmp_path / "begun").exists():
            assert not waiting.done()
            time.sleep(0.05)
        graphs.stop()
        assert isinstance(waiting.exception(LONG_S / 10), ray.exceptions.RayError)
        assert isinstance(lane.submit(graphs.get, {"late": (add, 1, 2)}, "late").exception(), RunEnded)
    assert ray.is_initialized(), "who waited was not left without it"
