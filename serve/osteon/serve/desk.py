"""The desk: sees that every accepted order is carried out, whatever dies meanwhile.

Its memory is the ledger. When it starts, and now and then, it takes up every open order that nobody works on; each is
carried through its steps by replicas, and a step whose replica died is given to another. There is one desk: steps can
be done twice without harm, so that even two would only waste work.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol

from osteon.core.errors import BadScan, OsteonError, StoreError
from osteon.serve.audit import request_id
from osteon.serve.ledger import Ledger, NotFound
from osteon.serve.problems import Problem
from osteon.serve.schemas import Order, Seconds, Standing, now
from osteon.serve.segmenter import Event, Outcome
from osteon.serve.steps import Done, Progress, RangeDone, Split
from osteon.serve.turns import Turns
from osteon.telemetry.metrics import (
    OLDEST_ORDER_SECONDS,
    ORDERS_OPEN,
    SEGMENTATION_SECONDS,
    STEPS_LOST,
    Notes,
    Recorder,
    replay,
)

LOOK_S = 2.0  # between looks at the ledger for orders that nobody told of
WRITE_S = 0.5  # between notes of how far an order is
FORGET_S = 600.0  # between looks for what was kept long enough
UNCLAIMED_H = 24.0  # a scan that was sent is kept so long for somebody to ask for its bones
MAX_LOSSES = 5  # times that a step is given to another replica
STEPS_AT_ONCE = 8  # given to the crew by default; more than it can do, so that Ray Serve sees that steps wait
RETRY_S = 1.0

_PART_OF_WHOLE = {"reading": (0.0, 0.1), "segmenting": (0.1, 0.95), "finishing": (0.95, 1.0)}
log = logging.getLogger(__name__)


class Lost(Exception):
    """Who did a step is gone; the step is to be done again."""


class Crew(Protocol):
    """Who does the steps. Each tells of its progress and at last what came of it; `Lost` if that never comes."""

    def begin(self, order: Order) -> AsyncIterator[Event]:
        """Read an order's scan; a small one is segmented at once."""
        ...

    def label_range(self, order: Order, number: int) -> AsyncIterator[Event]:
        """Label one range of planes."""
        ...

    def finish(self, order: Order) -> AsyncIterator[Event]:
        """Put the ranges together."""
        ...

    def deposit(self, order: Order) -> AsyncIterator[Event]:
        """Give the bones to the archive that the scan came from."""
        ...


class Desk:
    """Carries orders out.

    Args:
        ledger: what was accepted.
        crew: who does the steps.
        keep_hours: how long results are kept; None for ever.
        steps_at_once: steps that the crew is given at once; callers take turns.
        numbers: told of what is counted.
    """

    def __init__(
        self,
        ledger: Ledger,
        crew: Crew,
        keep_hours: float | None = None,
        steps_at_once: int = STEPS_AT_ONCE,
        numbers: Recorder | None = None,
    ) -> None:
        self._ledger, self._crew, self._keep_hours = ledger, crew, keep_hours
        self._numbers = numbers or Notes()
        self._carried: dict[str, asyncio.Task[None]] = {}
        self._since: dict[str, datetime] = {}  # when each was accepted, once it was read
        self._turns = Turns(steps_at_once)
        self._forgotten = 0.0

    async def run(self) -> None:
        """Look for orders for ever."""
        while True:
            try:
                await self.look()
            except OsteonError as error:  # the store will answer again
                log.warning("the ledger cannot be read: %s", error)
            await asyncio.sleep(LOOK_S)

    async def look(self) -> None:
        """Take up every open order that nobody works on, and forget what is too old."""
        for id_ in await asyncio.to_thread(self._ledger.open_ids):
            self.take(id_)
        self.measure()
        if time.monotonic() - self._forgotten > FORGET_S:
            self._forgotten = time.monotonic()
            await asyncio.to_thread(self._ledger.forget_unclaimed, UNCLAIMED_H)
            await asyncio.to_thread(self._ledger.forget_orphans)
            if self._keep_hours is not None:
                await asyncio.to_thread(self._ledger.forget_older, self._keep_hours)

    def take(self, id_: str) -> None:
        """Begin to carry an order, if nobody does."""
        if id_ not in self._carried:
            task = asyncio.create_task(self._carry(id_))
            self._carried[id_] = task
            task.add_done_callback(lambda ended: self._put_down(id_, ended))

    async def drop(self, id_: str) -> None:
        """Stop carrying an order; its steps stop when they next tell of their progress."""
        task = self._carried.get(id_)
        if task is not None:
            task.cancel()
            since = self._since.get(id_)
            await asyncio.gather(task, return_exceptions=True)
            if since is not None and task.cancelled():
                self._numbers.record(SEGMENTATION_SECONDS, (now() - since).total_seconds(), "cancelled")

    async def ended(self, id_: str, within_s: float) -> None:
        """Return when an order that is carried has ended; after some seconds in any case."""
        task = self._carried.get(id_)
        if task is not None:
            await asyncio.wait({task}, timeout=within_s)
        else:
            await asyncio.sleep(within_s)

    @property
    def num_carried(self) -> int:
        """Orders that are being carried or wait for a place."""
        return len(self._carried)

    def measure(self) -> None:
        """Record how much there is to do, as it is now."""
        time_now = now()
        oldest = min(self._since.values(), default=time_now)
        self._numbers.record(ORDERS_OPEN, len(self._carried))
        self._numbers.record(OLDEST_ORDER_SECONDS, max(0.0, (time_now - oldest).total_seconds()))

    def _put_down(self, id_: str, ended: asyncio.Task[None]) -> None:
        if not ended.cancelled() and (error := ended.exception()) is not None:
            log.warning("order %s is put down, to be taken up again: %s", id_, error)
        self._carried.pop(id_, None)
        self._since.pop(id_, None)

    async def _carry(self, id_: str) -> None:
        try:
            order = await asyncio.to_thread(self._ledger.order, id_)
        except NotFound:  # not put yet, or never
            await asyncio.to_thread(self._ledger.drop_stale, id_)
            return
        standing = await asyncio.to_thread(self._ledger.standing, order)
        if standing.is_over:
            await asyncio.to_thread(self._ledger.close, id_)
            return
        self._since[id_] = order.created
        request_id.set(order.request_id)  # a task has a context of its own
        log.info("order %s is carried", id_)
        await _Carrying(order, self._ledger, self._crew, self._turns, self._numbers).run()


class _Carrying:
    """One order on its way."""

    def __init__(self, order: Order, ledger: Ledger, crew: Crew, turns: Turns, numbers: Recorder) -> None:
        self._order, self._ledger, self._crew, self._turns, self._numbers = order, ledger, crew, turns, numbers
        self._waited = (now() - order.created).total_seconds()
        self._standing = Standing(updated=order.created)
        self._written = 0.0

    async def run(self) -> None:
        try:
            done = await self._through_steps()
            problem = await self._refused_deposit() if self._order.deposit and done.bones else None
        except OsteonError as error:
            await self._end(state="failed", problem=Problem.of(error))
        except Exception as error:  # ours: the order must end, and its owner be told, all the same
            log.exception("order %s failed", self._order.id)
            await self._end(state="failed", problem=Problem.of(error))
        else:
            await self._end(
                state="failed" if problem else "done",
                progress=1.0,
                bones=done.bones,
                model_digest=done.digest,
                seconds=done.seconds.model_copy(update={"waiting": max(0.0, self._waited)}).rounded(),
                formats=done.formats,
                problem=problem,
            )

    async def _through_steps(self) -> Done:
        order, crew = self._order, self._crew
        begun = await self._insist("begin", lambda: crew.begin(order), self._note)
        if isinstance(begun, Done):
            return begun
        assert isinstance(begun, Split)
        started = time.perf_counter()
        await self._label(begun.ranges)
        labelled = time.perf_counter() - started
        done = await self._insist("finish", lambda: crew.finish(order), self._note)
        assert isinstance(done, Done)
        seconds = Seconds(reading=begun.seconds.reading, segmenting=labelled, finishing=done.seconds.finishing)
        return done.model_copy(update={"seconds": seconds})

    async def _refused_deposit(self) -> Problem | None:
        """Why the archive has not got the bones, which are found and kept; None if it has."""
        try:
            await self._insist("deposit", lambda: self._crew.deposit(self._order), self._note)
        except OsteonError as error:
            return Problem.of(error)
        return None

    async def _label(self, ranges: Sequence[tuple[int, int]]) -> None:
        """All ranges at once; the first refusal stops the others."""
        shares = [0.0] * len(ranges)

        def note(number: int) -> Callable[[Progress], Progress]:
            def joined(progress: Progress) -> Progress:
                shares[number] = progress.share
                return progress.model_copy(update={"share": sum(shares) / len(shares)})

            return joined

        async def one(number: int) -> None:
            join = note(number)
            event = await self._insist(
                "label_range",
                lambda: self._crew.label_range(self._order, number),
                lambda progress: self._note(join(progress)),
            )
            assert isinstance(event, RangeDone)
            shares[number] = 1.0

        try:
            async with asyncio.TaskGroup() as group:
                for number in range(len(ranges)):
                    group.create_task(one(number))
        except* OsteonError as refusals:
            raise _first(refusals) from None

    async def _insist(
        self, name: str, step: Callable[[], AsyncIterator[Event]], note: Callable[[Progress], Awaitable[None]]
    ) -> Outcome:
        """Do a step, again while its replica is lost or a store does not answer."""
        what = f"{MAX_LOSSES + 1} replicas were lost over this scan, perhaps for want of memory"
        refusal: OsteonError = BadScan("lost-replicas", what, where=self._order.id)
        for losses in range(MAX_LOSSES + 1):
            try:
                async with self._turns.turn(self._order.owner):
                    return await _ended(step(), note, self._numbers)
            except Lost as error:
                self._numbers.record(STEPS_LOST, 1, name)
                log.warning("order %s: a replica was lost (%d): %s", self._order.id, losses + 1, error)
            except StoreError as error:
                refusal = error
                log.warning("order %s: a store does not answer (%d): %s", self._order.id, losses + 1, error)
            await asyncio.sleep(RETRY_S * losses)
        raise refusal

    async def _note(self, progress: Progress) -> None:
        if progress.stage != self._standing.state or time.monotonic() - self._written > WRITE_S:
            low, high = _PART_OF_WHOLE[progress.stage]
            await self._write(state=progress.stage, progress=round(low + progress.share * (high - low), 4))

    async def _end(self, **changes: object) -> None:
        await self._write(**changes)
        state, seconds = self._standing.state, (now() - self._order.created).total_seconds()
        log.info("order %s is %s after %.3f s", self._order.id, state, seconds)
        self._numbers.record(SEGMENTATION_SECONDS, max(0.0, seconds), state)

    async def _write(self, **changes: object) -> None:
        """Note a change; a store that does not answer is asked again, for nothing may be lost here."""
        self._standing = Standing.model_validate(self._standing.model_dump() | changes | {"updated": now()})
        self._written = time.monotonic()
        while True:
            try:
                await asyncio.to_thread(self._ledger.write, self._order.id, self._standing)
                return
            except OsteonError as error:
                log.warning("order %s cannot be noted: %s", self._order.id, error)
                await asyncio.sleep(RETRY_S)


async def _ended(
    events: AsyncIterator[Event], note: Callable[[Progress], Awaitable[None]], numbers: Recorder
) -> Outcome:
    """What comes of a step; its progress and what it counted are noted on the way."""
    async for event in events:
        if isinstance(event, OsteonError):
            raise event
        if isinstance(event, tuple):
            replay(event, numbers)
        elif isinstance(event, Progress):
            await note(event)
        else:
            return event
    raise Lost("it ended without an answer")


def _first(group: BaseExceptionGroup[OsteonError]) -> OsteonError:
    found = group.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found
