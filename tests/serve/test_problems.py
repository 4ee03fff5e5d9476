"""Problems: each refusal with its status and code, and nothing of the inside."""

import asyncio
import logging
import pickle
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from osteon.core.errors import BadInput, BadScan, Conflict, CorruptData, OsteonError, StoreError
from osteon.serve.problems import MEDIA_TYPE, Problem, Problems, TryLater, install_problems

ERRORS: dict[str, Exception] = {
    "scan": BadScan("missing-slice", "slice 3 is missing", where="/srv/scratch/a1/000003", remedy="send it"),
    "input": BadInput("bad-format", "no such format"),
    "missing": OsteonError("not-found", "there is no such segmentation"),
    "conflict": Conflict("same-key", "another request had this key"),
    "large": BadScan("too-large", "too many bytes"),
    "later": TryLater("too-many-requests", "slow down", retry_after_s=2.4),
    "full": TryLater("queue-full", "the queue is full", retry_after_s=30),
    "store": StoreError("store-unreachable", "no answer from http://minio.inside:9000", where="s3://secret/key"),
    "corrupt": CorruptData("torn-chunk", "chunk 3 of /srv/data is torn"),
    "bug": ZeroDivisionError("Jane Doe, 1970-01-01"),
    "http": HTTPException(410, "gone"),
}


class Wish(BaseModel):
    model: str
    count: int


def _app() -> FastAPI:
    app = FastAPI()
    install_problems(app)
    app.add_middleware(Problems)

    @app.get("/raise/{name}")
    async def fail(name: str) -> None:
        raise ERRORS[name]

    @app.post("/wish")
    async def wish(wish: Wish) -> None: ...

    @app.get("/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"half"
            raise ERRORS["bug"]

        return StreamingResponse(parts())

    return app


def _ask(method: str, path: str, **options: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("scan", 422, "missing-slice"),
        ("input", 400, "bad-format"),
        ("missing", 404, "not-found"),
        ("conflict", 409, "same-key"),
        ("large", 413, "too-large"),
        ("later", 429, "too-many-requests"),
        ("full", 503, "queue-full"),
        ("store", 503, "store-unreachable"),
        ("corrupt", 500, "torn-chunk"),
        ("bug", 500, "internal"),
        ("http", 410, "refused"),
    ],
)
def test_each_error_has_its_status_and_code(name: str, status: int, code: str) -> None:
    answer = _ask("GET", f"/raise/{name}")
    problem = Problem.model_validate(answer.json())
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert (answer.status_code, problem.status, problem.code) == (status, status, code)
    assert problem.type == "about:blank"


def test_a_scans_refusal_says_what_where_and_what_helps() -> None:
    assert _ask("GET", "/raise/scan").json() == {
        "type": "about:blank",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "slice 3 is missing",
        "code": "missing-slice",
        "where": "000003",
        "remedy": "send it",
    }


def test_who_comes_too_early_is_told_when_to_come_again() -> None:
    assert _ask("GET", "/raise/later").headers["retry-after"] == "2"
    full = _ask("GET", "/raise/full")
    assert full.headers["retry-after"] == "30"
    assert full.json()["detail"] == "the queue is full"
    assert "retry-after" in _ask("GET", "/raise/store").headers


@pytest.mark.parametrize("name", ["store", "corrupt", "bug"])
def test_nothing_of_the_inside_gets_out(name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        text = _ask("GET", f"/raise/{name}").text
    for secret in ("minio", "secret", "/srv", "Jane", "Traceback", "Zero", ".py"):
        assert secret not in text
    assert "Jane" not in caplog.text
    assert ("ZeroDivisionError" if name == "bug" else "[") in caplog.text


def test_a_wrong_field_is_named_and_its_value_is_not() -> None:
    answer = _ask("POST", "/wish", json={"model": "bones", "count": "Jane Doe"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid-request"
    assert answer.json()["detail"].startswith("body.count: ")
    assert "Jane" not in answer.text


def test_what_no_route_takes_is_a_problem_too() -> None:
    missing, method = _ask("GET", "/nowhere"), _ask("GET", "/wish")
    assert (missing.status_code, missing.json()["code"]) == (404, "not-found")
    assert (method.status_code, method.json()["code"]) == (405, "method")
    assert method.headers["allow"] == "POST"
    assert _ask("POST", "/wish", content=b"{", headers={"content-type": "application/json"}).status_code == 422


def test_half_an_answer_breaks_off(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ConnectionAbortedError, match="broke off"):
        _ask("GET", "/half")
    assert "unforeseen ZeroDivisionError" in caplog.text
    assert "Jane" not in caplog.text


def test_an_error_keeps_its_waiting_time_between_processes() -> None:
    error = pickle.loads(pickle.dumps(TryLater("queue-full", "full", remedy="wait", retry_after_s=7)))
    assert (error.code, error.remedy, error.retry_after_s) == ("queue-full", "wait", 7)
