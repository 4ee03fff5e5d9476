"""Headers that want more memory or stack than they are worth, and files that are hardly DICOM."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom import uid

from osteon.core.errors import BadScan
from osteon.storage.readers import Rejected, Scan, find_scans
from osteon.storage.readers.dicom_slices import KEPT_FIELDS

Hu = npt.NDArray[np.int16]
Write = Callable[..., Path]
MIB = 1 << 20


def test_a_deflated_bomb_is_never_inflated_whole(write_series: Write, open_one: Callable[..., Scan], hu: Hu) -> None:
    file = next(write_series(hu[:1], syntax=uid.DeflatedExplicitVRLittleEndian).iterdir())
    content = file.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    inflated = zlib.decompress(content[start:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    bomb = packer.compress(inflated) + b"".join(packer.compress(bytes(16 * MIB)) for _ in range(32)) + packer.flush()
    assert len(bomb) < MIB
    file.write_bytes(content[:start] + bomb)
    tracemalloc.start()
    with pytest.raises(BadScan) as caught:
        open_one(file.parent)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.code == "inflated-size"
    assert peak < 64 * MIB


def test_sequences_nested_without_end_are_refused(tmp_path: Path, write_series: Write, hu: Hu) -> None:
    file = next(write_series(hu[:1]).iterdir())
    content = file.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    opening = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    nested = tmp_path / "nested"
    nested.write_bytes(content[:start] + opening * 20_000 + content[start:])
    [found] = find_scans(nested)
    assert isinstance(found, Rejected)
    assert found.code == "nested-sequences"


def test_millions_of_empty_items_are_not_parsed(tmp_path: Path, write_series: Write, hu: Hu) -> None:
    file = next(write_series(hu[:1]).iterdir())
    content = file.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    sequence = struct.pack("<HH2sHI", 0x0008, 0x1140, b"SQ", 0, 0xFFFFFFFF)
    wide = tmp_path / "wide"
    wide.write_bytes(content[:start] + sequence + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * MIB)
    tracemalloc.start()
    [found] = find_scans(wide)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, Rejected)
    assert found.code == "nested-sequences"
    assert peak < 100 * MIB


def test_zeros_behind_the_magic_word_end_soon(tmp_path: Path) -> None:
    file = tmp_path / "zeros.dcm"
    file.write_bytes(bytes(128) + b"DICM" + bytes(8 * MIB))
    [found] = find_scans(file)
    assert isinstance(found, Rejected)
    assert found.code == "unreadable-header"


def test_long_headers_are_read_to_their_end(write_series: Write, open_one: Callable[..., Scan], hu: Hu) -> None:
    def stuff(dataset: pydicom.Dataset, _number: int) -> None:
        dataset.add_new(0x00091010, "OB", bytes(3 * MIB))

    np.testing.assert_array_equal(open_one(write_series(hu, stuff)).read(), hu)


def test_a_data_set_without_preamble_is_read(write_series: Write, open_one: Callable[..., Scan], hu: Hu) -> None:
    folder = write_series(hu, syntax=uid.ImplicitVRLittleEndian)
    for file in folder.iterdir():
        content = file.read_bytes()
        file.write_bytes(content[144 + int.from_bytes(content[140:144], "little") :])
    np.testing.assert_array_equal(open_one(folder).read(), hu)


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("DICM")
    (tmp_path / "picture").write_bytes(b"\x89PNG" + bytes(500))
    (tmp_path / "empty").touch()
    assert find_scans(tmp_path) == []


def test_kept_fields_describe_the_acquisition_only() -> None:
    patient_groups = {"0010", "0040", "0032", "0038"}
    for keyword in KEPT_FIELDS:
        tag = pydicom.tag.Tag(keyword)
        assert f"{tag.group:04x}" not in patient_groups
        assert not any(word in keyword for word in ("Name", "ID", "UID", "Date", "Time")) or keyword in {
            "ManufacturerModelName",
            "ExposureTime",
        }


def test_a_value_of_an_unknown_kind_is_a_refusal(write_series: Write, hu: Hu) -> None:
    file = next(write_series(hu[:1]).iterdir())
    content = file.read_bytes()
    start = content.index(struct.pack("<HH2s", 0x0028, 0x0103, b"US"))  # PixelRepresentation
    file.write_bytes(content[:start] + struct.pack("<HH2sH", 0x0028, 0x0103, b"U\0", 0) + content[start + 10 :])
    [found] = find_scans(file)
    assert isinstance(found, Rejected)
    assert found.code == "unreadable-header"
