import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from ray.exceptions import ActorUnavailableError, RayActorError
from ray.serve.exceptions import RayServeException

from osteon.serve import ray_front
from osteon.serve.front import DeskAway
from osteon.serve.ray_front import RayFront


class Handle:
    """A desk's handle, all of whose calls end in one way."""

    def __init__(self, call: Callable[[], Awaitable[object]]) -> None:
        self._call = call

    def __getattr__(self, name: str) -> Any:
        return self

    def remote(self, *_: object) -> Awaitable[object]:
        return self._call()


def front(call: Callable[[], Awaitable[object]]) -> RayFront:
    return RayFront(cast(Any, Handle(call)))


@pytest.mark.parametrize(
    "error", [RayActorError(), ActorUnavailableError("away", None), RayServeException("gone"), TimeoutError()]
)
def test_a_desk_that_is_away_is_one_error_whatever_is_asked(error: Exception) -> None:
    async def call() -> object:
        raise error

    desk = front(call)

    async def ask() -> None:
        waiting = desk.ended("a1", 1.0)
        for asked in (desk.take("a1"), desk.drop("a1"), waiting, desk.num_open(), desk.tell(()), desk.metrics()):
            with pytest.raises(DeskAway, match="the desk does not answer"):
                await asked

    asyncio.run(ask())


def test_nobody_waits_long_for_a_desk_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_front, "PATIENCE_S", 0.01)
    with pytest.raises(DeskAway):
        asyncio.run(front(lambda: asyncio.sleep(60)).num_open())


def test_a_fault_of_ours_is_not_taken_for_an_absence() -> None:
    async def call() -> object:
        raise KeyError("a1")

    with pytest.raises(KeyError):
        asyncio.run(front(call).num_open())


def test_what_the_desk_says_is_passed_on() -> None:
    async def call() -> object:
        return 3

    assert asyncio.run(front(call).num_open()) == 3
