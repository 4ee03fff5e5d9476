"""Stores a DICOM object in an archive by STOW-RS (PS3.18, 10.5). Knows one file and one URL."""

from __future__ import annotations

import json
import os
import secrets
import ssl
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from osteon.core.errors import BadInput, StoreError
from osteon.serve.fetch import Place

TOKEN = "OSTEON_DICOMWEB_TOKEN"  # environment variable with a bearer token for the archive
_PIECE = 1 << 20
_TIMEOUT = httpx.Timeout(120, connect=10)  # an archive answers when it has stored and checked everything


def check_archive(url: str) -> None:
    """Refuse what is not the studies resource of a DICOMweb service: https://…/studies, or …/studies/UID.

    Raises:
        BadInput: ``archive-url``.
    """
    parts = urlsplit(url)
    folders = parts.path.rstrip("/").split("/")
    if parts.scheme != "https" or not parts.hostname or "studies" not in folders[-2:]:
        remedy = "give https://HOST/…/studies: patient data goes over TLS only"
        raise BadInput("archive-url", f"{url!r} is no DICOMweb archive", remedy=remedy)


def store_instance(path: Path, url: str, place: Place | None = None) -> None:
    """Send a DICOM file to the archive at ``url``; an archive that has it already keeps one.

    Args:
        path: the file.
        url: of the archive.
        place: where it is reached; by default under its name, with the token of the environment.

    Raises:
        BadInput: ``archive-url``; ``archive-refused``: the archive does not want it.
        StoreError: ``archive-unreachable``.
    """
    check_archive(url)
    place = place or Place(url, _own_token())
    boundary = secrets.token_hex(16)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    tail = f"\r\n--{boundary}--\r\n".encode()
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}',
        "Content-Length": str(len(head) + path.stat().st_size + len(tail)),
        "Accept": "application/dicom+json",
        **place.headers,
    }
    host = urlsplit(url).netloc  # all that an error tells of the URL: the rest names a patient's study
    try:
        # No proxy and no .netrc of the environment; a hospital's own authority is trusted through SSL_CERT_FILE.
        with httpx.Client(verify=ssl.create_default_context(), trust_env=False, timeout=_TIMEOUT) as client:
            pieces, extensions = _pieces(path, head, tail), dict(place.extensions)
            response = client.post(place.url, headers=headers, content=pieces, extensions=extensions)
    except httpx.TransportError:
        what = "the archive does not answer"
        raise StoreError("archive-unreachable", what, where=host, remedy="try again") from None
    _check(response.status_code, response.content, host)


def _own_token() -> dict[str, str]:
    token = os.environ.get(TOKEN)
    return {"Authorization": f"Bearer {token}"} if token else {}


def _pieces(path: Path, head: bytes, tail: bytes) -> Iterator[bytes]:
    yield head
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            yield piece
    yield tail


def _check(status: int, answer: bytes, host: str) -> None:
    """200 says stored, 202 perhaps, 409 not; the answer's list of failures has the last word (PS3.18, 10.5.3)."""
    if status in (401, 403):
        remedy = f"put a token for it into {TOKEN}; osteon serve has it in sources.tokens"
        raise BadInput("archive-refused", f"the archive lets nobody in ({status})", where=host, remedy=remedy)
    if status >= 500:
        raise StoreError("archive-unreachable", f"the archive answers {status}", where=host, remedy="try again")
    failure = _failure(answer)
    if status not in (200, 202) or failure is not None:
        why = f"{status}, failure reason {failure}" if failure is not None else str(status)
        raise BadInput("archive-refused", f"the archive does not store it ({why})", where=host, remedy="see its log")


def _failure(answer: bytes) -> str | None:
    """The first reason in the answer's FailedSOPSequence, in hexadecimal; None if there is no such sequence."""
    try:
        document = json.loads(answer)
    except ValueError:
        return None
    match document:
        case {"00081198": {"Value": [{"00081197": {"Value": [int(reason), *_]}}, *_]}}:
            return f"{reason:04X}"
        case {"00081198": {"Value": [_, *_]}}:
            return "unknown"
    return None
