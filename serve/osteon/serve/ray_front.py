"""The desk as the API sees it, through Ray Serve. While it is being replaced, nobody waits long for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

from ray.exceptions import RayError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle

from osteon.serve.front import DeskAway, Front
from osteon.telemetry.metrics import Note

PATIENCE_S = 2.0  # with a desk that does not answer
T = TypeVar("T")


class RayFront(Front):
    """Calls of a deployment.

    Args:
        desk: handle of the `osteon.serve.app.DeskReplica` deployment.
    """

    def __init__(self, desk: DeploymentHandle[Any]) -> None:
        self._desk = desk

    async def take(self, id_: str) -> None:
        """Tell the desk of an order."""
        await _answered(self._desk.take.remote(id_))

    async def drop(self, id_: str) -> None:
        """Tell the desk to leave an order."""
        await _answered(self._desk.drop.remote(id_))

    async def ended(self, id_: str, within_s: float) -> None:
        """Return when an order that is carried has ended; after some seconds in any case, fewer than its patience."""
        await _answered(self._desk.ended.remote(id_, within_s))

    async def num_open(self) -> int:
        """Orders that are not over."""
        count: int = await _answered(self._desk.num_carried.remote())
        return count

    async def tell(self, notes: Sequence[Note]) -> None:
        """Bring numbers to the desk."""
        await _answered(self._desk.tell.remote(notes))

    async def metrics(self) -> str:
        """The numbers of the whole service."""
        text: str = await _answered(self._desk.metrics.remote())
        return text


async def _answered(asked: Awaitable[T]) -> T:
    """What the desk says.

    Raises:
        DeskAway: ``queue-full``.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await asked
    except (TimeoutError, RayError, RayServeException) as error:
        raise DeskAway("queue-full", "the desk does not answer", remedy="wait", retry_after_s=5) from error
