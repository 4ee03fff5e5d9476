"""Who asked for what, and how it ended: one JSON line for each request, and an id that runs through all logs.

Neither holds anything that could name a patient: the route's template instead of the path, no query, no file's name.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from osteon.serve.callers import Caller

HEADER = "X-Request-Id"
request_id: ContextVar[str] = ContextVar("request_id", default="-")
_WELL_FORMED = re.compile(r"[0-9A-Fa-f-]{16,64}")  # a UUID or a trace id; nothing that could spell a name
_LOG = logging.getLogger("osteon.audit")


class WithRequestId(logging.Filter):
    """Gives every log record its ``request_id``; add it to a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record."""
        record.request_id = request_id.get()
        return True


def open_audit(path: Path) -> None:
    """Append the audit log of this process to a file; several may share one, since a line is one short write."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8", delay=True)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _LOG.handlers[:] = [handler]
    _LOG.setLevel(logging.INFO)
    _LOG.propagate = False


def open_log() -> None:
    """Write this process's log to standard error, where Ray keeps it, with the request's id in each line."""
    handler = logging.StreamHandler()
    handler.addFilter(WithRequestId())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(request_id)s %(name)s: %(message)s"))
    logger = logging.getLogger("osteon")
    logger.handlers[:] = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False


class RequestId:
    """Middleware, the outermost: takes the caller's request id or makes one, and gives it back."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app under the request's id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        name = given if _WELL_FORMED.fullmatch(given) else uuid.uuid4().hex

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = name
            await send(message)

        token = request_id.set(name)
        try:
            await self._app(scope, receive, named)
        finally:
            request_id.reset(token)


class Audit:
    """Middleware: writes a line when a request has ended, however it did.

    A route that has found whose segmentation it is puts its id into ``request.state.segmentation_id``.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app and count its bytes."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        seen = {"status": 0, "received": 0, "sent": 0}
        begun_s = time.monotonic()

        async def counted_receive() -> Message:
            message = await receive()
            seen["received"] += len(message.get("body", b""))
            return message

        async def counted_send(message: Message) -> None:
            seen["status"] = message.get("status", seen["status"])
            seen["sent"] += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, counted_receive, counted_send)
        finally:
            _LOG.info("%s", _line(scope, seen, time.monotonic() - begun_s))


def _line(scope: Scope, seen: dict[str, int], seconds: float) -> str:
    """The log line; ``status`` is null if the caller left before there was one."""
    state = scope.get("state", {})
    caller = state.get("caller")
    return json.dumps(
        {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "request_id": request_id.get(),
            "caller": caller.name if isinstance(caller, Caller) else None,
            "method": scope["method"],
            "route": getattr(scope.get("route"), "path", None),
            "status": seen["status"] or None,
            "bytes_received": seen["received"],
            "bytes_sent": seen["sent"],
            "seconds": round(seconds, 3),
            "segmentation": state.get("segmentation_id"),
        }
    )
