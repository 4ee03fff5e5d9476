"""How much one caller may ask of a replica: requests per second, bodies at once, bytes and silence in a body.

The counts live in the memory of one replica of the Api: with N replicas a caller gets up to N times as much. Exact
counts would need a round trip to a shared store for each request, and these only keep one caller from crowding out
the others.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osteon.core.errors import OsteonError
from osteon.serve.auth import route_path
from osteon.serve.callers import Caller, CallerLimits
from osteon.serve.problems import TryLater

JSON_BYTES = 1 << 20  # of a body that is no scan, and that a route may keep in memory
SCANS = ("POST", "/v1/segmentations")
UPLOADS = "/v1/uploads/"
_MAX_BUCKETS = 10_000


class LimitSettings(BaseModel):
    """What every caller may ask for; `CallerLimits` of a key come before those here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scan_bytes: int = Field(default=4 << 30, ge=1, description="largest scan that is taken in")
    idle_s: float = Field(default=60.0, gt=0, description="longest silence in a body, in seconds")
    caller: CallerLimits = CallerLimits()


@dataclass
class _Bucket:
    tokens: float
    updated_s: float


@dataclass
class Buckets:
    """A token bucket for each caller: it fills steadily, each request takes one token."""

    clock: Callable[[], float] = time.monotonic
    _buckets: dict[str, _Bucket] = field(default_factory=dict)

    def wait_s(self, name: str, limits: CallerLimits) -> float:
        """Take a token; the seconds until there is one, if there is none, else 0."""
        now = self.clock()
        if len(self._buckets) > _MAX_BUCKETS:
            self._buckets.clear()  # more callers than anybody has: memory comes before fairness
        bucket = self._buckets.setdefault(name, _Bucket(limits.burst, now))
        bucket.tokens = min(limits.burst, bucket.tokens + (now - bucket.updated_s) * limits.requests_per_s)
        bucket.updated_s = now
        if bucket.tokens < 1:
            return (1 - bucket.tokens) / limits.requests_per_s
        bucket.tokens -= 1
        return 0.0


class Limits:
    """Middleware behind `Auth`: holds callers to their limits, and bodies to theirs while they come in."""

    def __init__(self, app: ASGIApp, settings: LimitSettings) -> None:
        self._app = app
        self._settings = settings
        self._buckets = Buckets()
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with a body that is counted.

        Raises:
            TryLater: ``too-many-requests``, ``too-many-uploads``.
            OsteonError: ``too-large``, ``stalled``; the last two from within the app, as it reads the body.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        caller: Caller | None = scope.get("state", {}).get("caller")
        limits = (caller and caller.limits) or self._settings.caller
        wait_s = self._buckets.wait_s(caller.name, limits) if caller is not None else 0.0
        if wait_s:
            what = f"more than {limits.requests_per_s:g} requests per second"
            raise TryLater("too-many-requests", what, remedy="wait as Retry-After says", retry_after_s=wait_s)
        body = _Body(receive, _max_bytes(scope, self._settings), self._settings.idle_s, self._open)
        body.begin(caller.name if caller else "", limits, Headers(scope=scope))
        try:
            await self._app(scope, body, send)
        finally:
            body.end()


class _Body:
    """Receives a body: no more bytes than ``max_bytes``, no silence longer than ``idle_s``."""

    def __init__(self, receive: Receive, max_bytes: int, idle_s: float, open_bodies: Counter[str]) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._idle_s = idle_s
        self._open = open_bodies
        self._name: str | None = None  # of the caller, while his body comes in
        self._received = 0
        self._is_whole = False

    def begin(self, name: str, limits: CallerLimits, headers: Headers) -> None:
        """Take one of the caller's turns, if the head announces a body, and one that may be."""
        declared = headers.get("content-length", "")
        if declared.isascii() and declared.isdigit() and int(declared[:20]) > self._max_bytes:
            raise self._too_large()
        if declared in ("", "0") and "transfer-encoding" not in headers:
            return
        if self._open[name] >= limits.uploads:
            what = f"{limits.uploads} request bodies are coming in already"
            raise TryLater("too-many-uploads", what, remedy="send them one after the other", retry_after_s=5)
        self._open[name] += 1
        self._name = name

    def end(self) -> None:
        """Give the turn back."""
        if self._name is not None:
            self._open[self._name] -= 1
            self._open += Counter()  # drops zeros
            self._name = None

    async def __call__(self) -> Message:
        """The next message; after the body's end it may take as long as it likes, it is the caller's leaving."""
        if self._is_whole:
            return await self._receive()
        try:
            async with asyncio.timeout(self._idle_s):
                message = await self._receive()
        except TimeoutError:
            what = f"nothing of the body came in for {self._idle_s:g} s"
            raise OsteonError("stalled", what, remedy="send it again") from None
        self._received += len(message.get("body", b""))
        if self._received > self._max_bytes:
            raise self._too_large()
        if not message.get("more_body", False):
            self._is_whole = True
            self.end()
        return message

    def _too_large(self) -> OsteonError:
        what = f"the body has more than the {self._max_bytes} bytes that are taken in"
        return OsteonError("too-large", what, remedy="crop the scan, or put it where the server can read it, by URL")


def _max_bytes(scope: Scope, settings: LimitSettings) -> int:
    """A scan's size where one may be sent; little for JSON and everywhere else, for that is held in memory."""
    kind = Headers(scope=scope).get("content-type", "").strip().lower()
    takes_scan = (scope["method"], route_path(scope)) == SCANS or (
        scope["method"] == "PUT" and route_path(scope).startswith(UPLOADS)
    )
    return settings.scan_bytes if takes_scan and "json" not in kind else JSON_BYTES
