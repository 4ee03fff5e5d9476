"""The audit log: who, what, how it ended; nothing that names a patient. And request ids, through logs and back."""

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request, UploadFile

from osteon.serve.audit import HEADER, WithRequestId, request_id
from osteon.serve.auth import AuthSettings
from osteon.serve.guard import GuardSettings, install_guards
from osteon.serve.keys import add_key
from osteon.serve.limits import LimitSettings

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


def _app(settings: GuardSettings) -> FastAPI:
    app, router = FastAPI(), APIRouter(prefix="/v1")
    logger = logging.getLogger("osteon.test")

    @router.get("/segmentations/{name}")
    async def found(name: str, request: Request) -> dict[str, str]:
        request.state.segmentation_id = "seg-1"
        logger.warning("at work")
        return {"seen": request_id.get(), "name": name}

    @router.post("/segmentations")
    async def take(scan: UploadFile) -> int:
        return len(await scan.read())

    @router.get("/bug")
    def bug() -> None:
        logger.warning("in a thread")
        raise ZeroDivisionError("Jane Doe")

    app.include_router(router)
    install_guards(app, settings)
    return app


class Server:
    """A guarded app whose audit log can be read."""

    def __init__(self, folder: Path) -> None:
        self.audit, keys = folder / "logs" / "audit.jsonl", folder / "keys.yaml"
        self.key = add_key(keys, "pacs", frozenset({"read", "segment"}))
        auth, limits = AuthSettings(keys=keys), LimitSettings(scan_bytes=1000)
        self._app = _app(GuardSettings(auth=auth, limits=limits, audit=self.audit))

    def ask(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.key}"} | options.pop("headers", {})

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await client.request(method, path, headers=headers, **options)

        return asyncio.run(ask())

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.audit.read_text().splitlines()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    yield Server(tmp_path)
    audit = logging.getLogger("osteon.audit")
    for handler in list(audit.handlers):
        audit.removeHandler(handler)
        handler.close()
    audit.propagate = True


def test_a_request_leaves_one_line(server: Server) -> None:
    answer = server.ask("GET", "/v1/segmentations/DOE-JANE?note=Jane", headers={HEADER: UUID})
    (line,) = server.lines()
    assert line.pop("seconds") >= 0
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "request_id": UUID,
        "caller": "pacs",
        "method": "GET",
        "route": "/v1/segmentations/{name}",
        "status": 200,
        "bytes_received": 0,
        "bytes_sent": len(answer.content),
        "segmentation": "seg-1",
    }


def test_refusals_leave_one_too(server: Server) -> None:
    server.ask("GET", "/v1/segmentations/1", key="osteon_wrong")
    server.ask("GET", "/nowhere/DOE-JANE")
    server.ask("GET", "/v1/bug")
    assert [(line["caller"], line["route"], line["status"]) for line in server.lines()] == [
        (None, None, 401),
        ("pacs", None, 404),
        ("pacs", "/v1/bug", 500),
    ]


def test_nothing_in_it_names_a_patient(server: Server) -> None:
    server.ask("POST", "/v1/segmentations?filename=DOE-JANE.nii", files={"scan": ("DOE-JANE.nii", bytes(500))})
    server.ask("POST", "/v1/segmentations", files={"scan": ("DOE-JANE.nii", bytes(5000))})
    server.ask("GET", "/v1/segmentations/DOE-JANE", headers={"User-Agent": "DOE-JANE", HEADER: "DOE-JANE-1970-01-01"})
    text = server.audit.read_text()
    assert [line["status"] for line in server.lines()] == [200, 413, 200]
    assert server.lines()[0]["bytes_received"] > 500
    assert "DOE" not in text
    assert server.key not in text


def test_a_body_that_is_cut_off_while_a_form_is_read_is_too_large(server: Server) -> None:
    """FastAPI takes every error of a body for a bad form; the cause says which it was."""

    async def parts() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="scan"; filename="a.nii"\r\n\r\n'
        for _ in range(1000):
            yield bytes(100)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    answer = server.ask("POST", "/v1/segmentations", content=parts(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-large")


def test_a_request_id_goes_through_and_back(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(WithRequestId())
    answer = server.ask("GET", "/v1/segmentations/1", headers={HEADER: UUID})
    server.ask("GET", "/v1/bug", headers={HEADER: UUID})
    assert answer.headers[HEADER] == answer.json()["seen"] == UUID
    records = [record for record in caplog.records if record.name in ("osteon.test", "osteon.serve")]
    assert [record.message.partition("\n")[0] for record in records] == [
        "at work",
        "in a thread",
        "unforeseen ZeroDivisionError",
    ]
    assert {vars(record)["request_id"] for record in records} == {UUID}
    assert request_id.get() == "-"


@pytest.mark.parametrize("given", ["short", "DOE-JANE-1970-01-01", "a" * 65, "0f8fad5b\td9cb469fa165", "{}"])
def test_an_id_that_could_be_anything_else_is_replaced(server: Server, given: str) -> None:
    ids = {server.ask("GET", "/nowhere", headers={HEADER: given}).headers[HEADER] for _ in range(2)}
    assert given not in ids
    assert len(ids) == 2


def test_a_keys_file_that_is_missing_is_told_before_the_first_request(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="keys-file"):
        install_guards(FastAPI(), GuardSettings(auth=AuthSettings(keys=tmp_path / "missing.yaml")))
