"""Streams that are larger, shorter or more damaged than they say."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from osteon.core.errors import BadScan
from osteon.storage.readers.inflate import RAW_DEFLATE, inflate, inflate_head

DATA = np.random.default_rng(0).integers(0, 40, 3_000_000).astype(np.uint8).tobytes()


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "zlib"])
@pytest.mark.parametrize(("skip", "size"), [(0, len(DATA)), (352, len(DATA) - 352), (0, len(DATA) - 500), (7, 0)])
def test_the_middle_of_a_stream(tmp_path: Path, pack: type, skip: int, size: int) -> None:
    path = write(tmp_path / "x", b"header" + pack(DATA))
    rest = len(DATA) - skip - size
    if rest > 1 << 20:
        with pytest.raises(BadScan) as caught:
            list(inflate(path, offset=6, skip=skip, size=size))
        assert caught.value.code == "inflated-size"
    else:
        assert b"".join(inflate(path, offset=6, skip=skip, size=size)) == DATA[skip : skip + size]


def test_pieces_are_small(tmp_path: Path) -> None:
    path = write(tmp_path / "x", gzip.compress(bytes(50 << 20)))
    assert max(map(len, inflate(path, offset=0, skip=0, size=50 << 20))) <= 1 << 20


@pytest.mark.parametrize("cut", [1, 4, 8, 1000, 100_000])
def test_a_stream_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "x", gzip.compress(DATA)[:-cut])
    with pytest.raises(BadScan) as caught:
        list(inflate(path, offset=0, skip=0, size=len(DATA)))
    assert caught.value.code == "corrupt-compression"


def test_a_raw_deflate_stream(tmp_path: Path) -> None:
    packer = zlib.compressobj(wbits=RAW_DEFLATE)
    packed = packer.compress(DATA) + packer.flush()
    path = write(tmp_path / "x", packed + b"\0")
    assert b"".join(inflate(path, offset=0, skip=10, size=len(DATA) - 10, wbits=RAW_DEFLATE)) == DATA[10:]
    assert inflate_head(packed[: len(packed) // 2], 5000) == DATA[:5000]


def test_a_declared_size_beyond_deflates_reach_is_refused_unread(tmp_path: Path) -> None:
    path = write(tmp_path / "x", b"\x1f\x8bnothing that could be inflated")
    with pytest.raises(BadScan) as caught:
        list(inflate(path, offset=0, skip=0, size=1 << 40))
    assert caught.value.code == "declared-size"
