"""STOW-RS to a real HTTPS server: what arrives is what was sent, and a refusal says why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from https import HttpsServer, lead_here, serve_https

from osteon.core.errors import BadInput, OsteonError, StoreError
from osteon.serve.stow import TOKEN, check_archive, store_instance

HOST = "pacs.test"
DATA = b"\x00DICM\r\n--\r\n\xff" * 400_000  # some pieces


class Archive:
    """Takes what is posted to ``/studies`` and answers as told."""

    def __init__(self) -> None:
        self.status, self.answer = 200, b"{}"
        self.headers: dict[str, str] = {}
        self.body = b""

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        self.body = request.rfile.read(int(self.headers["content-length"]))
        request.send_response(self.status)
        request.end_headers()
        request.wfile.write(self.answer)


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serve_https(tmp_path_factory.mktemp("https"), HOST) as server:
        yield server


@pytest.fixture
def archive(https: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> Archive:
    lead_here(HOST, https, monkeypatch)
    monkeypatch.delenv(TOKEN, raising=False)
    archive = Archive()
    https.answers["/dicom-web/studies"] = archive
    return archive


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "labels.dcm").write_bytes(DATA)
    return tmp_path / "labels.dcm"


def url_of(https: HttpsServer) -> str:
    return f"https://{HOST}:{https.port}/dicom-web/studies"


def test_the_object_arrives_as_a_part(https: HttpsServer, archive: Archive, file: Path) -> None:
    store_instance(file, url_of(https))
    kind = archive.headers["content-type"]
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + archive.body)
    assert message.get_content_type() == "multipart/related"
    [part] = message.iter_parts()
    assert part.get_content_type() == message.get_param("type") == "application/dicom"
    assert DATA in archive.body
    assert "authorization" not in archive.headers


def test_a_token_goes_along(https: HttpsServer, archive: Archive, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "secret")
    store_instance(file, url_of(https))
    assert archive.headers["authorization"] == "Bearer secret"


def failed(reason: int) -> bytes:
    return json.dumps({"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "kind", "says"),
    [
        (409, failed(0xA900), BadInput, "409, failure reason A900"),
        (202, failed(0x0110), BadInput, "202, failure reason 0110"),
        (202, b'{"00081198": {"vr": "SQ", "Value": [{}]}}', BadInput, "failure reason unknown"),
        (400, b"<html>", BadInput, "400"),
        (401, b"", BadInput, TOKEN),
        (302, b"", BadInput, "302"),
        (503, b"", StoreError, "503"),
    ],
)
def test_a_refusal_says_why(
    https: HttpsServer, archive: Archive, file: Path, status: int, answer: bytes, kind: type[OsteonError], says: str
) -> None:
    archive.status, archive.answer = status, answer
    with pytest.raises(kind, match=says):
        store_instance(file, url_of(https))


@pytest.mark.parametrize(("status", "answer"), [(200, b""), (202, b"{}"), (200, b"<xml/>")])
def test_an_answer_without_failures_is_a_success(
    https: HttpsServer, archive: Archive, file: Path, status: int, answer: bytes
) -> None:
    archive.status, archive.answer = status, answer
    store_instance(file, url_of(https))


@pytest.mark.usefixtures("archive")
def test_an_archive_that_is_away(file: Path) -> None:
    with pytest.raises(StoreError, match="archive-unreachable"):
        store_instance(file, f"https://{HOST}:1/studies")


@pytest.mark.parametrize("url", ["http://pacs/studies", "https:///studies", "https://pacs/wado", "s3://bucket/studies"])
def test_what_is_no_archive(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        check_archive(url)
    assert caught.value.code == "archive-url"


@pytest.mark.parametrize(
    "url", ["https://pacs/dicom-web/studies", "https://pacs/studies/1.2.3", "https://pacs/studies/"]
)
def test_what_is_an_archive(url: str) -> None:
    check_archive(url)
