"""Limits: bodies that are too long, lie about it, stall or are too many, and callers who ask too often."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from osteon.core.errors import OsteonError
from osteon.serve.callers import Caller, CallerLimits, Role
from osteon.serve.limits import JSON_BYTES, Buckets, Limits, LimitSettings
from osteon.serve.problems import Problems, install_problems

READ: frozenset[Role] = frozenset({"read"})
SCAN = "/v1/segmentations"
FILE = {"content-type": "application/octet-stream"}


class _Named:
    """Lets in whoever the header names."""

    def __init__(self, app: ASGIApp, limits: CallerLimits | None) -> None:
        self._app, self._limits = app, limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = [value.decode() for key, value in scope["headers"] if key == b"x-name"]
        if names:
            scope["state"] = {"caller": Caller(name=names[0], roles=READ, limits=self._limits)}
        await self._app(scope, receive, send)


async def _count(request: Request) -> JSONResponse:
    return JSONResponse({"bytes": sum([len(part) async for part in request.stream()])})


def _app(settings: LimitSettings, own: CallerLimits | None = None, route: Callable[..., Any] = _count) -> Starlette:
    paths = (SCAN, "/v1/uploads", "/v1/uploads/{id}")
    app = Starlette(routes=[Route(path, route, methods=["GET", "POST", "PUT"]) for path in paths])
    install_problems(app)
    app.add_middleware(Limits, settings=settings)
    app.add_middleware(_Named, limits=own)
    app.add_middleware(Problems)
    return app


async def _ask(app: Starlette, method: str, path: str, **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        return await client.request(method, path, **options)


async def _parts(count: int, size: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"\0" * size


def _send(count: int, size: int, settings: LimitSettings, path: str = SCAN, **headers: str) -> httpx.Response:
    method = "PUT" if "uploads/" in path else "POST"
    return asyncio.run(_ask(_app(settings), method, path, content=_parts(count, size), headers=FILE | headers))


@pytest.mark.parametrize("path", [SCAN, "/v1/uploads/a1"])
def test_a_scan_up_to_the_limit_comes_in_whole(path: str) -> None:
    assert _send(10, 100, LimitSettings(scan_bytes=1000), path).json() == {"bytes": 1000}


@pytest.mark.parametrize("path", [SCAN, "/v1/uploads/a1"])
def test_a_scan_without_a_length_is_cut_off(path: str) -> None:
    answer = _send(10_000, 100, LimitSettings(scan_bytes=1000), path)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_a_scan_that_lies_about_its_length_is_cut_off() -> None:
    answer = _send(10_000, 100, LimitSettings(scan_bytes=1000), **{"content-length": "10"})
    assert answer.status_code == 413


@pytest.mark.parametrize("length", ["1001", "9" * 19, "9" * 5000])
def test_a_length_beyond_the_limit_is_refused_before_the_body(length: str) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    headers = FILE | {"content-length": length}
    answer = asyncio.run(_ask(_app(LimitSettings(scan_bytes=1000)), "POST", SCAN, content=never(), headers=headers))
    assert answer.status_code == 413


def test_where_no_scan_is_sent_a_body_is_small() -> None:
    """What routes parse they hold in memory, whatever its type is said to be."""
    too_much = JSON_BYTES // 1000 + 2
    for kind in ("application/json", "Application/JSON; charset=utf-8", "application/problem+json"):
        assert _send(too_much, 1000, LimitSettings(), SCAN, **{"content-type": kind}).status_code == 413, kind
    assert _send(too_much, 1000, LimitSettings(), "/v1/uploads").status_code == 413
    assert _send(too_much, 1000, LimitSettings(), SCAN).status_code == 200


def test_a_body_that_stalls_is_given_up() -> None:
    async def stalling() -> AsyncIterator[bytes]:
        yield b"begins"
        await asyncio.sleep(60)

    begun_s = time.monotonic()
    answer = asyncio.run(_ask(_app(LimitSettings(idle_s=0.05)), "POST", SCAN, content=stalling(), headers=FILE))
    assert (answer.status_code, answer.json()["code"]) == (408, "stalled")
    assert time.monotonic() - begun_s < 10


def test_a_caller_sends_only_so_many_bodies_at_once() -> None:
    """The third is refused while two are under way; another caller's is not; the turns come back."""

    async def play() -> list[int]:
        app, gate = _app(LimitSettings(caller=CallerLimits(uploads=2))), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield b"begins"
            await gate.wait()

        def send(name: str, content: AsyncIterator[bytes]) -> asyncio.Task[httpx.Response]:
            return asyncio.create_task(_ask(app, "POST", SCAN, content=content, headers=FILE | {"x-name": name}))

        under_way = [send("ann", slow()), send("ann", slow())]
        await asyncio.sleep(0.05)
        third, other = await send("ann", _parts(1, 1)), await send("bob", _parts(1, 1))
        reading = await _ask(app, "GET", SCAN, headers={"x-name": "ann"})
        gate.set()
        ended = [(await task).status_code for task in under_way]
        later = await send("ann", _parts(1, 1))
        assert third.json()["code"] == "too-many-uploads"
        assert int(third.headers["retry-after"]) > 0
        return [third.status_code, other.status_code, reading.status_code, *ended, later.status_code]

    assert asyncio.run(play()) == [429, 200, 200, 200, 200, 200]


def test_a_refused_body_gives_its_turn_back() -> None:
    async def play() -> list[int]:
        app = _app(LimitSettings(scan_bytes=10, caller=CallerLimits(uploads=1)))
        headers = FILE | {"x-name": "ann"}
        return [(await _ask(app, "POST", SCAN, content=_parts(9, 9), headers=headers)).status_code for _ in range(3)]

    assert asyncio.run(play()) == [413, 413, 413]


def test_a_body_that_nobody_reads_gives_its_turn_back() -> None:
    async def deaf(request: Request) -> JSONResponse:
        del request
        raise OsteonError("not-found", "no such thing")

    async def play() -> list[int]:
        app, headers = _app(LimitSettings(caller=CallerLimits(uploads=1)), route=deaf), FILE | {"x-name": "ann"}
        return [(await _ask(app, "POST", SCAN, content=_parts(9, 9), headers=headers)).status_code for _ in range(3)]

    assert asyncio.run(play()) == [404, 404, 404]


def test_who_asks_too_often_has_to_wait() -> None:
    async def play() -> list[httpx.Response]:
        app = _app(LimitSettings(caller=CallerLimits(requests_per_s=0.1, burst=2)))
        return [await _ask(app, "GET", SCAN, headers={"x-name": name}) for name in ("ann", "ann", "ann", "bob")]

    answers = asyncio.run(play())
    assert [answer.status_code for answer in answers] == [200, 200, 429, 200]
    assert 8 <= int(answers[2].headers["retry-after"]) <= 10


def test_a_keys_own_limits_come_first() -> None:
    async def play() -> list[int]:
        app = _app(LimitSettings(), CallerLimits(requests_per_s=0.1, burst=1))
        return [(await _ask(app, "GET", SCAN, headers={"x-name": "ann"})).status_code for _ in range(2)]

    assert asyncio.run(play()) == [200, 429]


def test_a_bucket_fills_with_time_and_not_beyond_its_brim() -> None:
    now = [0.0]
    buckets, limits = Buckets(clock=lambda: now[0]), CallerLimits(requests_per_s=2, burst=3)

    def taken() -> int:
        count = 0
        while buckets.wait_s("ann", limits) == 0:
            count += 1
        return count

    assert taken() == 3
    assert 0.4 < buckets.wait_s("ann", limits) <= 0.5
    now[0] = 1.0
    assert taken() == 2
    now[0] = 1000.0
    assert taken() == 3
