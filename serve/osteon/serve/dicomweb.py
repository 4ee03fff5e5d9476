"""DICOMweb: fetches a series by WADO-RS, all of its instances in one answer (PS3.18, 10.4).

The answer is kept as a file first and taken apart then: what the host sends is bounded and judged as with every other
source, and nothing of it is parsed as DICOM before the readers do, within their own bounds.
"""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import urlsplit

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from osteon.core.errors import BadInput
from osteon.serve.fetch import fetch
from osteon.serve.sources import SourceSettings

_SERIES = re.compile(r".*/studies/[0-9.]{1,64}/series/[0-9.]{1,64}")
_PIECE = 1 << 20
_MAX_BOUNDARY = 70  # RFC 2046, 5.1.1


def is_series(url: str) -> bool:
    """Whether a URL is that of a DICOMweb series: https://…/studies/UID/series/UID."""
    parts = urlsplit(url)
    return parts.scheme == "https" and _SERIES.fullmatch(parts.path) is not None


def fetch_series(url: str, folder: Path, settings: SourceSettings, *, max_bytes: int, max_files: int) -> int:
    """Write every instance of a series into a new folder, under numbers; how many there are.

    Raises:
        BadInput: ``source-multipart``: the host's answer is no series; ``source-files``: it has more files than
            ``max_files``; and what `fetch` refuses.
        StoreError: as `fetch`.
    """
    body = folder.with_name(f"{folder.name}.multipart")
    fetch(url, body, settings, max_bytes=max_bytes)
    try:
        return split_parts(body, folder, max_files=max_files)
    finally:
        body.unlink()


def split_parts(body: Path, folder: Path, *, max_files: int) -> int:
    """Write each part of a multipart/related file (RFC 2387) as a file 000001, 000002, … of a new folder.

    Raises:
        BadInput: ``source-multipart``, ``source-files``.
    """
    folder.mkdir()
    with body.open("rb") as file, _Parts(folder, max_files) as parts:
        try:
            parser = MultipartParser(_boundary(file), {
                "on_part_begin": parts.begin, "on_part_data": parts.write, "on_part_end": parts.close,
                "on_end": parts.finish,
            })  # fmt: skip
            while piece := file.read(_PIECE):
                parser.write(piece)
        except FormParserError:
            raise _no_series() from None
        if not parts.count or not parts.is_whole:
            raise _no_series()
        return parts.count


class _Parts:
    """What the parser calls: one file for each part."""

    def __init__(self, folder: Path, max_files: int) -> None:
        self._folder, self._max_files = folder, max_files
        self._file: BinaryIO | None = None
        self.count, self.is_whole = 0, False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def begin(self) -> None:
        self.count += 1
        if self.count > self._max_files:
            what = f"the series has more than the {self._max_files} files that are taken in"
            raise BadInput("source-files", what, remedy="send the series of one scan only")
        self._file = (self._folder / f"{self.count:06d}").open("xb")

    def write(self, data: bytes, start: int, end: int) -> None:
        assert self._file is not None
        self._file.write(data[start:end])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def finish(self) -> None:
        self.is_whole = True


def _boundary(file: BinaryIO) -> bytes:
    """What stands between the parts: the first line says it, too."""
    line = file.read(_MAX_BOUNDARY + 8).lstrip(b"\r\n").partition(b"\r\n")[0].rstrip(b" \t")
    file.seek(0)
    if not line.startswith(b"--") or not 2 < len(line) <= _MAX_BOUNDARY + 2:
        raise _no_series()
    return line[2:]


def _no_series() -> BadInput:
    remedy = "give the URL of a DICOMweb series: https://…/studies/UID/series/UID"
    return BadInput("source-multipart", "the source's host gave no DICOM series", remedy=remedy)
