"""Unpacks a zip of DICOM files into a folder, and trusts nothing that the zip says of itself.

The files get numbers for names: what the zip calls them is only judged, so that it can neither lead out of the folder
nor bring a patient's name into it. A single compressed volume needs none of this: the readers inflate no more than its
header declares (`osteon.storage.readers.inflate`).
"""

from __future__ import annotations

import io
import shutil
import stat
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from osteon.core.errors import BadScan

_PIECE = 1 << 20
_SLACK = 64 << 20  # bytes that may come out whatever the ratio: a phantom of pure air is legitimate
_DIRECTORY_BYTES = 512  # of the zip's directory, per entry: a name and some fields
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
_ARCHIVES = (
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b",
    b"7z\xbc\xaf",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
)


class ArchiveSettings(BaseModel):
    """How much may come out of one zip."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries: int = Field(default=20_000, ge=1, description="files and folders in it")
    unpacked_bytes: int = Field(default=16 << 30, ge=1, description="bytes of all files, unpacked")
    ratio: float = Field(
        default=100.0, ge=1, description="unpacked bytes to those of the zip; CT slices reach 5, masked ones 20"
    )


def unpack(archive: Path, folder: Path, settings: ArchiveSettings) -> list[Path]:
    """Unpack the files of a zip into a new folder, as 000001, 000002, …; a failure leaves no folder.

    Raises:
        BadScan: ``archive`` for a damaged one, ``archive-name``, ``archive-link``, ``archive-nested``,
            ``archive-encrypted``, ``archive-method``, ``archive-duplicate``, ``archive-entries``, ``archive-size``,
            ``archive-empty``.
    """
    folder.mkdir(parents=True)
    try:
        return _unpack(archive, folder, settings)
    except BaseException as error:
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)):
            raise BadScan("archive", "the zip is damaged", remedy="make it again") from None
        raise


class _Frugal(io.FileIO):
    """A file of which no more is ever read at once than the directory of an honest zip takes.

    `zipfile` reads the directory whole, as large as the zip says it is, before anybody can count its entries.
    """

    def __init__(self, path: Path, max_read: int) -> None:
        super().__init__(path)
        self._max_read = max_read

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self._max_read:
            raise _too_many()
        return super().read(self._max_read if size is None or size < 0 else size) or b""


def _unpack(archive: Path, folder: Path, settings: ArchiveSettings) -> list[Path]:
    limit = min(settings.unpacked_bytes, int(settings.ratio * archive.stat().st_size) + _SLACK)
    paths: list[Path] = []
    with _Frugal(archive, settings.entries * _DIRECTORY_BYTES + _PIECE) as file, zipfile.ZipFile(file) as opened:
        _check_entries(opened.infolist(), settings)
        for info in (info for info in opened.infolist() if not info.is_dir()):
            path = folder / f"{len(paths) + 1:06d}"
            with path.open("xb") as target:
                for piece in _inflate(opened, info):
                    limit -= len(piece)
                    if limit < 0:
                        what = "more comes out of the zip than any zip of CT slices holds"
                        raise BadScan("archive-size", what, remedy="send the series of one scan only")
                    target.write(piece)
            paths.append(path)
    if not paths:
        raise BadScan("archive-empty", "there is no file in the zip", remedy="put the DICOM files of a scan into it")
    return paths


def _check_entries(infos: Sequence[zipfile.ZipInfo], settings: ArchiveSettings) -> None:
    if len(infos) > settings.entries:
        raise _too_many()
    seen: set[str] = set()
    for number, info in enumerate(infos, 1):
        _check_entry(info, number)
        name = info.filename.casefold()
        if name in seen:
            what = f"entry {number} has the name of another one"
            raise BadScan("archive-duplicate", what, remedy="make the zip again")
        seen.add(name)


def _check_entry(info: zipfile.ZipInfo, number: int) -> None:
    """Refuse what no honest zip of slices has. Entries are told by number: their names may be a patient's."""
    name = info.orig_filename
    if name.startswith(("/", "\\")) or any(
        part == ".." or ":" in part or not part.isprintable() for part in _parts(name)
    ):
        what = f"the name of entry {number} leads out of the zip's folder"
        raise BadScan("archive-name", what, remedy="make the zip from inside the folder of the scan")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise BadScan("archive-link", f"entry {number} is a link or a device", remedy="put plain files into the zip")
    if info.flag_bits & _ENCRYPTED:
        raise BadScan("archive-encrypted", f"entry {number} is encrypted", remedy="send it without a password")
    if info.compress_type not in _METHODS:
        what = f"entry {number} is compressed by method {info.compress_type}"
        raise BadScan("archive-method", what, remedy="use a plain zip (deflate)")


def _parts(name: str) -> list[str]:
    return name.replace("\\", "/").split("/")


def _inflate(opened: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """An entry's bytes in pieces; what comes out counts, not what the directory says."""
    with opened.open(info) as source:
        piece = source.read(_PIECE)
        if piece.startswith(_ARCHIVES):
            raise BadScan("archive-nested", "there is an archive in the zip", remedy="send the DICOM files in one zip")
        while piece:
            yield piece
            piece = source.read(_PIECE)


def _too_many() -> BadScan:
    what = "the zip has more entries than a scan has slices"
    return BadScan("archive-entries", what, remedy="send the series of one scan only")
