"""Whose step is next: callers take turns, so that one with many scans does not keep the others waiting."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Places for steps, given to callers in turn.

    Args:
        places: steps at once.
    """

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, owner: str) -> AsyncIterator[None]:
        """A place for one of an owner's steps, when it is his turn."""
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(owner)
        try:
            yield
        finally:
            self._give_back()

    async def _wait(self, owner: str) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(owner, deque()).append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():  # it was given just now
                self._give_back()
            raise

    def _give_back(self) -> None:
        """Give the place to the next owner who waits; he goes to the end of the row."""
        while self._waiting:
            owner, places = self._waiting.popitem(last=False)
            place = places.popleft()
            if places:
                self._waiting[owner] = places
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
