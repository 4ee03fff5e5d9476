"""A DICOM file's data set up to its pixels, parsed by pydicom within bounds of memory and time.

Values are taken from the raw elements, because a hospital's headers break converters; absent or malformed ones are
None, and the caller says which of them it cannot do without.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag, Tag

from osteon.core.errors import BadScan
from osteon.storage.readers import transfer_syntax
from osteon.storage.readers.inflate import inflate_head

logging.getLogger("pydicom").setLevel(logging.CRITICAL)  # its warnings quote header values: patient data in logs

_HEADS = (1 << 15, 1 << 24)  # bytes read at first, and at most: nearly every header is shorter than the first
_MAX_ELEMENTS = 100_000
_MAX_ITEMS = 200_000  # sequence items: each costs pydicom a kilobyte of memory and the sender 8 bytes
_tag = lru_cache(maxsize=256)(Tag)  # looking a keyword up costs more than reading its element
_PIXEL_TAGS = (0x7FE00008, 0x7FE00009, 0x7FE00010)


@dataclass(frozen=True)
class Header:
    """A parsed data set.

    Attributes:
        fields: the elements before the pixels.
        syntax: transfer syntax UID.
        offset: first byte of the pixel data's value, in the file (in the inflated data set, if it is deflated).
        length: bytes of that value; None if encapsulated; 0 if the object has no pixels.
    """

    fields: Fields
    syntax: str
    offset: int
    length: int | None


class Fields:
    """The raw elements of a data set, by keyword."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def text(self, keyword: str) -> str:
        """The value as text, empty if absent; further values follow after backslashes."""
        return _bytes(self._dataset, keyword).decode("ascii", "replace").strip(" \0")

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """``count`` decimal numbers; None if absent, NaN for what is no number."""
        parts = self.text(keyword).split("\\")
        return tuple(_number(part) for part in parts) if parts != [""] and len(parts) == count else None

    def integer(self, keyword: str, *, signed: bool = False) -> int | None:
        """A 16-bit (or 32-bit) binary integer; None if absent."""
        raw = _bytes(self._dataset, keyword)
        order = "little" if self._is_little(keyword) else "big"
        return int.from_bytes(raw, order, signed=signed) if len(raw) in (2, 4) else None  # type: ignore[arg-type]

    def items(self, keyword: str) -> Sequence[Fields]:
        """The items of a sequence; empty if absent."""
        if keyword not in self._dataset:
            return ()
        value = self._dataset[keyword].value
        return [Fields(item) for item in value] if isinstance(value, Sequence) else ()

    def item(self, keyword: str) -> Fields:
        """The first item of a sequence; an empty data set if absent."""
        items = self.items(keyword)
        return items[0] if items else Fields(Dataset())

    def _is_little(self, keyword: str) -> bool:
        element = self._dataset.get_item(_tag(keyword))
        return element.is_little_endian if isinstance(element, RawDataElement) else True


def read_header(path: Path, keywords: Sequence[str]) -> Header | None:
    """The ``keywords`` of a DICOM file, or None if the file is no DICOM file. To be called while `parsing`.

    Raises:
        BadScan: ``unreadable-header``, ``nested-sequences``, ``inflated-size``.
    """
    with path.open("rb") as file:
        start = file.read(132)
    has_preamble = start[128:] == b"DICM"
    if not has_preamble and not _looks_bare(path, start):
        return None
    return _read(path, 132 if has_preamble else 0, [_tag(keyword) for keyword in keywords])


@contextmanager
def parsing(path: Path) -> Iterator[None]:
    """Whatever goes wrong while pydicom parses, or converts a value, is a refusal of the file.

    Raises:
        BadScan: ``unreadable-header``, ``nested-sequences``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote values, too
            yield
    except BadScan as error:
        raise error.at(str(path)) from None
    except OSError:
        if not path.is_file():
            raise
        raise _unreadable(path, "the file ends within its header") from None
    except RecursionError:
        raise BadScan("nested-sequences", "sequences are nested too deeply", where=str(path)) from None
    except Exception as error:  # pydicom fails in many ways on a damaged header; all of them mean the same
        raise _unreadable(path, f"the header cannot be parsed ({type(error).__name__})") from None


def _unreadable(path: Path, what: str) -> BadScan:
    return BadScan("unreadable-header", what, where=str(path), remedy="export the file again")


def _looks_bare(path: Path, start: bytes) -> bool:
    """Whether this is a data set without preamble: its first group is 0002 or 0008, its name one DICOM files have."""
    return path.suffix.lower() in {".dcm", ".ima", ""} and start[:2] in {b"\x08\0", b"\x02\0"} and start[3:4] == b"\0"


def _read(path: Path, start: int, tags: list[BaseTag | int]) -> Header:
    size = path.stat().st_size
    for limit in _HEADS:
        with path.open("rb") as file:
            head = file.read(limit)
        try:
            header = _parse(head, start, tags)
        except OSError:  # pydicom's word for a sequence that goes on behind the bytes read so far
            if size <= limit or limit == _HEADS[-1]:
                raise
            continue
        if header.length != 0 or size <= limit:
            break
    return header


def _parse(head: bytes, start: int, tags: list[BaseTag | int]) -> Header:
    stream = io.BytesIO(head)
    stream.seek(start)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, _vr, _length: tag >> 16 != 2)
    at = stream.tell()
    syntax = _bytes(meta, "TransferSyntaxUID").decode("ascii", "replace").strip(" \0")
    syntax = syntax or transfer_syntax.guess(head[at : at + 6])
    if syntax == transfer_syntax.DEFLATED:
        head, at = inflate_head(head[at:], _HEADS[-1]), 0
        stream = io.BytesIO(head)
    _check_items(head)
    pixels = _PixelFinder()
    implicit, little = transfer_syntax.is_implicit(syntax), transfer_syntax.is_little_endian(syntax)
    dataset = read_dataset(stream, implicit, little, stop_when=pixels, specific_tags=tags)
    if not _bytes(dataset, "SOPClassUID") and "MediaStorageSOPClassUID" in meta:
        dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    if not pixels.found:
        return Header(Fields(dataset), syntax, 0, 0)
    at = stream.tell()
    # Lengths are even, so that an implicit length never looks like one of these VRs, whose first letters are odd.
    is_long = head[at + 4 : at + 6] in {b"OB", b"OW", b"OF", b"OD", b"UN"}
    return Header(Fields(dataset), syntax, at + (12 if is_long else 8), pixels.length)


class _PixelFinder:
    """Stops pydicom before the pixels and after too many elements."""

    def __init__(self) -> None:
        self.found = False
        self.length: int | None = 0
        self._count = 0

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        self._count += 1
        if self._count > _MAX_ELEMENTS:
            raise BadScan("unreadable-header", f"more than {_MAX_ELEMENTS} elements before the pixels")
        if int(tag) in _PIXEL_TAGS:  # a BaseTag compares slowly
            self.found, self.length = True, None if length == 0xFFFFFFFF else length
        return self.found


def _check_items(head: bytes) -> None:
    items = max(head.count(b"\xfe\xff\x00\xe0"), head.count(b"\xff\xfe\xe0\x00"))
    if items > _MAX_ITEMS:
        raise BadScan("nested-sequences", f"{items} sequence items, at most {_MAX_ITEMS} are read")


def _bytes(dataset: Dataset, keyword: str) -> bytes:
    element = dataset.get_item(_tag(keyword))
    value = getattr(element, "value", None)
    if isinstance(value, bytes):
        return value
    return str(value).encode("ascii", "replace") if value else b""


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
