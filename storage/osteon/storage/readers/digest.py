"""The digest of a scan's source bytes: the same whatever the files are called and in which order they lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

NUM_THREADS = 4  # hashing lets go of the interpreter: it runs as fast as cores and disk allow


def digest_file(path: Path) -> bytes:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def digest_files(paths: Iterable[Path]) -> str:
    """SHA-256, in hexadecimal, over the digests of files."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return combine(pool.map(digest_file, paths))


def combine(digests: Iterable[bytes]) -> str:
    """SHA-256, in hexadecimal, of the files' digests in sorted order."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()
