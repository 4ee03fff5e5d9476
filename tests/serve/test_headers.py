"""Headers for browsers: on answers and refusals alike, and on no answer of a caller's a permission to keep it."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from osteon.serve.guard import GuardSettings, install_guards


async def _text(request: Request) -> PlainTextResponse:
    del request
    return PlainTextResponse("text", headers={"Cache-Control": "max-age=60"})


def _ask(path: str) -> httpx.Response:
    app = Starlette(routes=[Route("/assets/index.js", _text), Route("/v1/models", _text)])
    install_guards(app, GuardSettings())

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get(path)

    return asyncio.run(ask())


@pytest.mark.parametrize(("path", "status"), [("/assets/index.js", 200), ("/v1/models", 200), ("/v1/none", 404)])
def test_no_browser_guesses_frames_or_tells(path: str, status: int) -> None:
    answer = _ask(path)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def test_what_is_a_callers_is_not_kept() -> None:
    assert _ask("/v1/models").headers["cache-control"] == "no-store"
    assert _ask("/v1/none").headers["cache-control"] == "no-store"
    assert _ask("/assets/index.js").headers["cache-control"] == "max-age=60"
