"""A scan as one file that can be sent to a service. Knows files, no HTTP."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.serve.endings import CASE


@contextmanager
def as_file(scan: Path) -> Iterator[Path]:
    """A file that can be sent: DICOM files are zipped; their names, which may tell of patients, stay here.

    Raises:
        BadInput: ``no-scan``, ``media-type``.
    """
    if not scan.exists():
        raise BadInput("no-scan", "there is no such file or folder", where=str(scan), remedy="check the path")
    if scan.name.endswith(CASE):
        remedy = "give its URL, if the server may read it; see the server's sources.allow"
        raise BadInput("media-type", "a stored case cannot be sent", where=str(scan), remedy=remedy)
    if scan.is_file() and not _is_dicom(scan):
        yield scan
        return
    with tempfile.TemporaryDirectory(prefix="osteon-send-") as scratch:
        path = Path(scratch, "scan.zip")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1, strict_timestamps=False) as archive:
            for number, file in enumerate(_files(scan), 1):
                archive.write(file, f"{number:06d}.dcm")
        yield path


def _files(scan: Path) -> Sequence[Path]:
    """The files of a scan in order of their names; hidden ones are no slices."""
    found = sorted(scan.rglob("*")) if scan.is_dir() else [scan]
    return [file for file in found if file.is_file() and not file.name.startswith(".")]


def _is_dicom(file: Path) -> bool:
    """Whether it begins as DICOM files do (PS3.10, 7.1)."""
    with file.open("rb") as opened:
        return opened.read(132)[128:] == b"DICM"
