"""zlib, gzip and raw deflate in bounded memory: nothing is inflated past what its header declared.

Sizes are checked before and while inflating; a stream's checksum is verified where it has one.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from osteon.core.errors import BadScan

MAX_RATIO = 1032  # of inflated to deflated bytes; deflate cannot reach more (zlib's technical notes)
_PIECE = 1 << 20
_TAIL = 1 << 20  # bytes tolerated behind the declared end
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
RAW_DEFLATE = -zlib.MAX_WBITS


def inflate_head(deflated: bytes, limit: int) -> bytes:
    """The first ``limit`` bytes at most of a raw deflate stream, which may be cut short."""
    try:
        return zlib.decompressobj(RAW_DEFLATE).decompress(deflated, limit)
    except zlib.error as error:
        raise BadScan("corrupt-compression", f"the deflate stream is damaged ({error})") from None


def check_ratio(declared: int, deflated: int) -> None:
    """Refuse (``declared-size``) a declared size that so few deflated bytes cannot hold."""
    if declared > MAX_RATIO * deflated + _TAIL:
        raise BadScan(
            "declared-size",
            f"the header declares {declared} bytes of voxels, {deflated} compressed bytes cannot hold them",
            remedy="the file is truncated or its header damaged; export it again",
        )


def inflate(path: Path, *, offset: int, skip: int, size: int, wbits: int = GZIP_OR_ZLIB) -> Iterator[memoryview]:
    """The ``size`` inflated bytes after the first ``skip``, in pieces of at most 1 MiB; then the stream's checksum.

    Raises:
        BadScan: ``declared-size``, ``truncated-pixels``, ``inflated-size``, ``corrupt-compression``.
    """
    check_ratio(skip + size, path.stat().st_size - offset)
    position = 0
    for piece in _pieces(path, offset, wbits):
        start, stop = max(skip - position, 0), min(skip + size - position, len(piece))
        if start < stop:
            yield memoryview(piece)[start:stop]
        position += len(piece)
        if position > skip + size + _TAIL:
            raise BadScan("inflated-size", f"the file inflates past the {skip + size} bytes that its header declares")
    if position < skip + size:
        what = f"the file inflates to {position} bytes, its header declares {skip + size}"
        raise BadScan("truncated-pixels", what, remedy="export the file again")


def _pieces(path: Path, offset: int, wbits: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(offset)
        try:
            yield from _members(file, wbits)
        except zlib.error as error:
            remedy = "the file was damaged on its way; fetch it again"
            raise BadScan("corrupt-compression", f"the compressed data is damaged ({error})", remedy=remedy) from None


def _members(file: BinaryIO, wbits: int) -> Iterator[bytes]:
    """Inflate one gzip member after the other; zlib and deflate streams have one only."""
    stream = zlib.decompressobj(wbits)
    pending = file.read(_PIECE)
    while True:
        piece = stream.decompress(pending, _PIECE)
        yield piece
        pending = stream.unconsumed_tail
        if stream.eof:
            pending = stream.unused_data.lstrip(b"\0") or file.read(_PIECE).lstrip(b"\0")
            if wbits != GZIP_OR_ZLIB or not pending.startswith(b"\x1f\x8b"):
                return
            stream = zlib.decompressobj(wbits)
        elif not pending:
            pending = file.read(_PIECE)
            if not pending and not piece:
                raise zlib.error("the stream ends before its checksum")
