"""A reverse proxy before a real S3 server that misbehaves on request: 503, 403, resets, truncated bodies, lost answers.

Written with aiohttp because mitmproxy's pins conflict with Ray's and Dask's (it would downgrade tornado, cryptography
and h11). It forwards the Host header as it came, so that signatures stay valid.
"""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

import aiohttp
from aiohttp import web
from seaweed import free_ports
from yarl import URL

SLOW_DOWN = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = "<Error><Code>AccessDenied</Code><Message>Access Denied.</Message></Error>"
LARGEST_BODY = 1 << 30
SLOW_S = 3.0


class Fault(StrEnum):
    """What goes wrong with a request."""

    SLOW_DOWN = "the server is not asked; 503 SlowDown"
    DENIED = "the server is not asked; 403"
    RESET = "the server is not asked; the connection is cut"
    SLOW = "the server is asked some seconds later"
    TRUNCATED = "half of the server's answer arrives, then the connection is cut"
    LOST_ANSWER = "the server does it; the connection is cut before its answer"


@dataclass
class Trap:
    """A fault that waits for requests.

    Attributes:
        fault: what happens.
        method: of requests it is for.
        part: of their path.
        times: how often it still happens.
        sprung: how often it has happened.
    """

    fault: Fault
    method: str
    part: str
    times: int
    sprung: int = 0


@dataclass
class FaultyS3:
    """A running proxy.

    Attributes:
        endpoint: its base URL.
        traps: faults that wait.
        seen: methods and paths of all requests, in order.
    """

    endpoint: str
    traps: list[Trap] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def inject(self, fault: Fault, method: str, part: str, times: int = 1) -> Trap:
        """Let the next ``times`` such requests fail; the trap counts them."""
        trap = Trap(fault, method, part, times)
        self.traps.append(trap)
        return trap

    @contextmanager
    def outage(self, fault: Fault) -> Iterator[None]:
        """Let every request fail meanwhile."""
        traps = [Trap(fault, method, "", times=1 << 30) for method in ("GET", "HEAD", "PUT", "POST", "DELETE")]
        self.traps[:0] = traps
        try:
            yield
        finally:
            for trap in traps:
                trap.times = 0

    def due(self, request: web.BaseRequest) -> Fault | None:
        """The fault for this request."""
        self.seen.append(f"{request.method} {request.raw_path}")
        for trap in self.traps:
            if trap.times and trap.method == request.method and trap.part in request.raw_path:
                trap.times -= 1
                trap.sprung += 1
                return trap.fault
        return None


@contextmanager
def proxy(server: str) -> Iterator[FaultyS3]:
    """Run a proxy before the S3 server of this endpoint, in a thread of its own."""
    (port,) = free_ports(1)
    faulty = FaultyS3(f"http://127.0.0.1:{port}")
    loop = asyncio.new_event_loop()
    started, stop = threading.Event(), asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(_run(faulty, server, port, started, stop),))
    thread.start()
    assert started.wait(10), "the proxy did not start"
    try:
        yield faulty
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


async def _run(faulty: FaultyS3, server: str, port: int, started: threading.Event, stop: asyncio.Event) -> None:
    async with aiohttp.ClientSession(auto_decompress=False) as session:

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            return await _answer(faulty, server, session, request)

        runner = web.ServerRunner(web.Server(handle))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        started.set()
        await stop.wait()
        await runner.cleanup()


async def _answer(
    faulty: FaultyS3, server: str, session: aiohttp.ClientSession, request: web.BaseRequest
) -> web.StreamResponse:
    fault = faulty.due(request)
    body = await request.content.read()
    if fault is Fault.SLOW_DOWN:
        return web.Response(status=503, text=SLOW_DOWN, content_type="application/xml")
    if fault is Fault.DENIED:
        return web.Response(status=403, text=DENIED, content_type="application/xml")
    if fault is Fault.RESET:
        return _cut(request)
    if fault is Fault.SLOW:
        await asyncio.sleep(SLOW_S)
    url = URL(server + request.raw_path, encoded=True)
    async with session.request(
        request.method,
        url,
        headers=request.headers,
        data=io.BytesIO(body) if body else None,
        skip_auto_headers=("User-Agent", "Accept"),
    ) as reply:
        content = await reply.read()
        if fault is Fault.LOST_ANSWER:
            return _cut(request)
        headers = {name: value for name, value in reply.headers.items() if name.lower() not in _HOP_BY_HOP}
        if fault is not Fault.TRUNCATED:
            announced = int(reply.headers.get("Content-Length", len(content)))  # a HEAD's is not its body's
            return await _send(request, reply.status, headers, content, announced)
        await _send(request, reply.status, headers, content[: len(content) // 2], len(content))
        return _cut(request)


_HOP_BY_HOP = {"content-length", "transfer-encoding", "connection"}


async def _send(
    request: web.BaseRequest, status: int, headers: dict[str, str], content: bytes, announced: int
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    response.content_length = announced
    await response.prepare(request)
    if content:
        await response.write(content)
    return response


def _cut(request: web.BaseRequest) -> web.StreamResponse:
    """Close the connection at once; what is returned cannot be sent any more."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
