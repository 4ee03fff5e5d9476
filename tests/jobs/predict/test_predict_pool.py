"""Who is given what, and what becomes of it when workers die: the pool on a Ray of this process, without waiting."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError

from osteon.core.errors import Conflict, OsteonError
from osteon.core.geometry import Grid
from osteon.jobs import predict_pool
from osteon.jobs.predict_case import PredictJob, Taken
from osteon.jobs.predict_plan import Candidate, Unit
from osteon.jobs.predict_pool import MAX_LOSSES, Pool, Share
from osteon.storage.stores import Store

JOB = PredictJob("model", "digest", "auto", Store("file:///a"), Store("file:///b"))


def unit(name: str) -> Unit:
    return Unit(Candidate(name, Grid((1, 1, 1)), "", "", 1.0), 1.0)


@dataclass(eq=False)
class Ref:
    """A call that was made; it ends when it is waited for."""

    actor: "Actor"
    unit: Unit | None


@dataclass(eq=False)
class Actor:
    """A worker: dead once it was killed, or has taken what kills it."""

    ray: "FakeRay"
    is_dead: bool = False

    @property
    def ready(self) -> Any:
        return Method(lambda: Ref(self, None))

    @property
    def take(self) -> Any:
        return Method(lambda unit: self.ray.given(Ref(self, unit)))


@dataclass
class Method:
    remote: Callable[..., Ref]


@dataclass
class FakeRay:
    """As much of Ray as the pool uses.

    Attributes:
        deadly: cases that kill their worker.
        start_error: what every worker's start ends with.
        actors: all that were started.
        holding: cases that each actor was given and has not ended.
        largest: the most cases that one held at once.
        together: cases held at once with another, ever.
    """

    deadly: set[str] = field(default_factory=set)
    start_error: Exception | None = None
    actors: list[Actor] = field(default_factory=list)
    holding: dict[Actor, list[Unit]] = field(default_factory=dict)
    largest: int = 0
    tries: Counter[str] = field(default_factory=Counter)

    def options(self, **_: Any) -> Any:
        return Method(self._start)  # type: ignore[arg-type]  # an actor, as Ray gives a handle

    def _start(self, *_: Any) -> Actor:
        self.actors.append(Actor(self))
        return self.actors[-1]

    def given(self, ref: Ref) -> Ref:
        assert ref.unit is not None
        held = self.holding.setdefault(ref.actor, [])
        held.append(ref.unit)
        self.largest = max(self.largest, len(held))
        self.tries[ref.unit.case.case_id] += 1
        return ref

    def wait(self, refs: list[Ref], timeout: float) -> tuple[list[Ref], list[Ref]]:
        assert timeout > 0
        return refs[:1], refs[1:]

    def get(self, ref: Ref) -> Taken | None:
        if self.start_error is not None:
            raise self.start_error
        if ref.unit is not None and ref.unit.case.case_id in self.deadly:
            ref.actor.is_dead = True
        if ref.actor.is_dead:
            raise ActorDiedError
        if ref.unit is None:
            return None
        self.holding[ref.actor].remove(ref.unit)
        return Taken(voxels=1)

    def kill(self, actor: Actor) -> None:
        actor.is_dead = True


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> FakeRay:
    fake = FakeRay()
    monkeypatch.setattr(predict_pool, "ray", fake)
    monkeypatch.setattr(predict_pool, "_ACTOR", fake)
    return fake


def run(names: str, least: int = 1, most: int = 2) -> dict[str, Taken]:
    pool = Pool(JOB, Share(least, most, 1, 0.0))
    ended: Iterator[tuple[Unit, Taken] | None] = pool.run([unit(name) for name in names])
    return {each[0].case.case_id: each[1] for each in ended if each is not None}


def test_everything_is_done_once_and_every_worker_ends(ray: FakeRay) -> None:
    assert run("abcdefgh") == dict.fromkeys("abcdefgh", Taken(voxels=1))
    assert set(ray.tries.values()) == {1}
    assert all(actor.is_dead for actor in ray.actors)


def test_nobody_takes_a_second_piece_that_another_could_begin(ray: FakeRay) -> None:
    run("ab", least=1, most=2)
    assert ray.largest == 1
    run("abcdefgh", least=2, most=2)
    assert ray.largest == 2


def test_there_are_no_more_workers_than_pieces_and_they_double(ray: FakeRay) -> None:
    run("a", least=1, most=64)
    assert len(ray.actors) == 1
    ray.actors.clear()
    run("abcdefgh" * 8, least=2, most=64)
    assert 2 < len(ray.actors) <= 64


def test_a_scan_that_kills_its_worker_is_refused_and_the_others_are_done(ray: FakeRay) -> None:
    ray.deadly = {"c"}
    ended = run("abcdefgh")
    error = ended.pop("c").error
    assert error is not None
    assert error.code == "worker-lost"
    assert ray.tries["c"] == MAX_LOSSES
    assert ended == dict.fromkeys("abdefgh", Taken(voxels=1))
    assert max(ray.tries[name] for name in "abdefgh") <= 2  # what it was held with is tried again, alone


def test_a_model_that_cannot_be_loaded_ends_the_run(ray: FakeRay) -> None:
    ray.start_error = RayTaskError("ready", "", Conflict("other-model", "it is another one"))
    with pytest.raises(Conflict, match="other-model"):
        run("ab")


def test_workers_that_die_at_once_end_the_run(ray: FakeRay) -> None:
    ray.start_error = ActorDiedError()
    with pytest.raises(OsteonError, match=r"before they have the model in memory .*worker-lost"):
        run("ab")
    assert len(ray.actors) >= MAX_LOSSES


@pytest.mark.parametrize(
    ("nodes", "gpus_there", "asked", "share"),
    [
        ([8], 0, (None, None, None), Share(1, 1, 8, 0.0)),
        ([0, 8, 16], 0, (None, None, None), Share(1, 2, 8, 0.0)),
        ([8], 0, ((2, 4), None, None), Share(2, 4, 2, 0.0)),
        ([0, 32], 4, (None, None, None), Share(1, 4, 8, 1.0)),
        ([0, 32], 4, (None, None, 0.5), Share(1, 8, 4, 0.5)),
        ([0, 32], 4, ((1, 16), None, None), Share(1, 16, 8, 1.0)),
        ([0], 0, ((1, 16), 8, 1.0), Share(1, 16, 8, 1.0)),
        ([0], 0, (None, None, None), Share(1, 1, 1, 0.0)),
    ],
)
def test_what_a_worker_holds(
    monkeypatch: pytest.MonkeyPatch, nodes: list[int], gpus_there: int, asked: Any, share: Share
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    alive = [{"Alive": True, "Resources": {"CPU": cpus}} for cpus in nodes]
    monkeypatch.setattr("ray.nodes", lambda: [*alive, {"Alive": False, "Resources": {"CPU": 64}}])
    monkeypatch.setattr("ray.cluster_resources", lambda: {"GPU": gpus_there})
    assert Share.of(*asked) == share


def test_of_a_clusters_nodes_a_processor_is_left_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": cpus}} for cpus in (0, 8, 1)])
    monkeypatch.setattr("ray.cluster_resources", dict)
    assert Share.of(None, None, None) == Share(1, 2, 1, 0.0)
    assert Share.of((1, 1), None, None) == Share(1, 1, 1, 0.0)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": {"CPU": 8}}])
    assert Share.of(None, None, None) == Share(1, 1, 7, 0.0)
