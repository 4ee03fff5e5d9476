"""The three ways to ask for a segmentation: JSON that names a scan, a form with a file, or the file itself."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from osteon.core.errors import BadInput
from osteon.serve.endings import suffix_of
from osteon.serve.schemas import Wish

MAX_FIELDS = 10  # of a form


@dataclass(frozen=True)
class Received:
    """What was asked, and the scan if it was sent along.

    Attributes:
        model: name; None for the default.
        labels: bones that are wanted; None for all.
        source: URL of the scan.
        upload: id of a scan that was sent before.
        deposit: whether the archive that the scan comes from is to be given the bones.
        file: the scan.
        digest: of all that.
    """

    model: str | None
    labels: tuple[str, ...] | None
    source: str | None
    upload: str | None
    deposit: bool
    file: Path | None
    digest: str


async def receive(request: Request, scratch: Path) -> Received:
    """Take in a request; a scan goes to a file in ``scratch``.

    Raises:
        BadInput: ``media-type``, ``no-scan``.
        RequestValidationError: a field is not as it should be.
        OsteonError: ``too-large``, ``stalled``: the body is cut off by the limits.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _of_wish(_wish(await request.body()), None, "")
    if kind == "multipart/form-data":
        async with request.form(max_files=1, max_fields=MAX_FIELDS) as form:
            return await _of_form(form, scratch)
    query = request.query_params
    path = scratch / f"scan{suffix_of(query.get('filename', ''))}"
    await receive_file(request, path)
    return _of_wish(_sent(query.get("model"), query.get("labels")), path, await asyncio.to_thread(_digest, path))


async def receive_file(request: Request, path: Path) -> None:
    """Write a body to a file as it comes.

    Raises:
        BadInput: ``no-scan``: there is none.
    """
    with path.open("wb") as file:
        async for piece in request.stream():
            file.write(piece)
        if not file.tell():
            raise BadInput("no-scan", "the body is empty", remedy="send the scan's bytes")


async def _of_form(form: FormData, scratch: Path) -> Received:
    scan = form.get("scan")
    if not isinstance(scan, UploadFile) or scan.filename is None:
        raise BadInput("no-scan", "the form has no file in the field 'scan'", remedy="send the scan in that field")
    path = scratch / f"scan{suffix_of(scan.filename)}"
    await asyncio.to_thread(_copy, scan, path)
    wish = _sent(_text(form, "model"), _text(form, "labels"))
    return _of_wish(wish, path, await asyncio.to_thread(_digest, path))


def _copy(scan: UploadFile, path: Path) -> None:
    with path.open("wb") as file:
        shutil.copyfileobj(scan.file, file, 1 << 20)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) and value else None


def _sent(model: str | None, labels: str | None) -> Wish:
    """The wishes that come with a scan; its place is not known yet."""
    names = [name.strip() for name in labels.split(",") if name.strip()] if labels else None
    return _checked({"upload": "sent", "model": model or None, "labels": names})


def _wish(body: bytes) -> Wish:
    try:
        return Wish.model_validate_json(body)
    except ValidationError as error:
        raise _invalid(error) from None


def _checked(fields: dict[str, object]) -> Wish:
    try:
        return Wish.model_validate(fields)
    except ValidationError as error:
        raise _invalid(error) from None


def _invalid(error: ValidationError) -> RequestValidationError:
    return RequestValidationError([{**fault, "loc": ("body", *fault["loc"])} for fault in error.errors()])


def _of_wish(wish: Wish, file: Path | None, file_digest: str) -> Received:
    digest = hashlib.sha256(f"{wish.model_dump_json()} {file_digest}".encode()).hexdigest()
    upload = None if file is not None else wish.upload
    return Received(wish.model, wish.labels, wish.source, upload, wish.deposit, file, digest)
