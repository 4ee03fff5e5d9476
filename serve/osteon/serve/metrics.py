"""The service's numbers: kept by the desk, of which there is one, brought to it by everybody else.

So each replica of the Api answers ``/metrics`` with the numbers of the whole service, whichever one a scrape meets;
numbers of its own would go up and down from scrape to scrape as the proxy chooses. The price is that counts begin at 0
when the desk starts anew, as they do for any process, and that a process that dies takes its last second along.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osteon.serve.front import DeskAway
from osteon.telemetry.metrics import METRICS, REQUEST_SECONDS, Metric, Note, Notes, Recorder

TELL_S = 1.0  # between deliveries to the desk
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
# They would be a gauge more for each counter and histogram, of which this text format knows nothing.
disable_created_metrics()


class Registry:
    """All declared metrics, as prometheus-client keeps them; those that nobody told of yet have no values."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._kept = {metric.name: _collector(metric, self._registry) for metric in METRICS}

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter, set a gauge or observe for a histogram."""
        kept = self._kept[metric.name]
        child = kept.labels(*labels) if labels else kept
        if isinstance(child, Counter):
            child.inc(value)
        elif isinstance(child, Gauge):
            child.set(value)
        else:
            child.observe(value)

    def text(self) -> str:
        """Everything in Prometheus' text format 0.0.4."""
        return generate_latest(self._registry).decode()


class Everywhere:
    """Tells several recorders the same."""

    def __init__(self, *recorders: Recorder) -> None:
        self._recorders = recorders

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Pass a number on."""
        for recorder in self._recorders:
            recorder.record(metric, value, *labels)


class Courier:
    """A recorder that brings its numbers to the desk, some at a time, while its process serves.

    Args:
        tell: brings notes to the desk.
    """

    def __init__(self, tell: Callable[[Sequence[Note]], Awaitable[None]]) -> None:
        self._notes, self._tell = Notes(), tell
        self._trip: asyncio.Task[None] | None = None

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Keep a number for the next delivery."""
        self._notes.record(metric, value, *labels)
        if self._trip is None or self._trip.done():
            self._trip = asyncio.get_running_loop().create_task(self._later())

    async def deliver(self) -> None:
        """Bring what there is now; told once at most, so that nothing is counted twice.

        Raises:
            DeskAway: and what it was to be told is lost.
        """
        if notes := self._notes.take():
            await self._tell(notes)

    async def _later(self) -> None:
        await asyncio.sleep(TELL_S)
        with suppress(DeskAway):
            await self.deliver()


class Measured:
    """Middleware, around all others: how long each request took, and what came of it."""

    def __init__(self, app: ASGIApp, numbers: Recorder) -> None:
        self._app, self._numbers = app, numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begun_s = "none", time.monotonic()  # none: the caller left before there was one

        async def seen(message: Message) -> None:
            nonlocal status
            status = str(message.get("status", status))
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._numbers.record(REQUEST_SECONDS, time.monotonic() - begun_s, route, method, status)


def resident_bytes() -> float | None:
    """Memory of this process that is not swapped out; None where the system does not tell."""
    for family in ProcessCollector(registry=None).collect():
        if family.name == "process_resident_memory_bytes":
            return float(family.samples[0].value)
    return None


def _collector(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels, registry=registry)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, metric.labels, registry=registry)
    return Histogram(metric.name, metric.help, metric.labels, registry=registry, buckets=metric.buckets)
