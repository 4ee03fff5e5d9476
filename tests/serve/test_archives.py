"""Zips as they come from attackers: names that lead out, links, bombs, lies. And honest ones."""

import io
import stat
import struct
import zipfile
from pathlib import Path

import pytest

from osteon.core.errors import BadScan
from osteon.serve.archives import ArchiveSettings, unpack

SLICE = bytes(128) + b"DICM" + bytes(range(256)) * 40


def _zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in entries:
            file.writestr(name, data)
    return path


def _refused(archive: Path, code: str, settings: ArchiveSettings | None = None) -> BadScan:
    """The refusal; nothing may be left of what came before it."""
    folder = archive.parent / "unpacked"
    with pytest.raises(BadScan) as caught:
        unpack(archive, folder, settings or ArchiveSettings())
    assert caught.value.code == code
    assert not folder.exists()
    assert sorted(archive.parent.iterdir()) == [archive]
    return caught.value


def test_the_files_come_out_under_numbers(tmp_path: Path) -> None:
    """The names in a zip are often those of patients."""
    entries = [(f"DOE^JANE/CT {number}.dcm", SLICE + bytes([number])) for number in range(3)]
    archive = _zip(tmp_path / "a.zip", ("DOE^JANE/", b""), *entries)
    paths = unpack(archive, tmp_path / "out", ArchiveSettings())
    assert [path.relative_to(tmp_path / "out").as_posix() for path in paths] == ["000001", "000002", "000003"]
    assert [path.read_bytes() for path in paths] == [data for _, data in entries]


@pytest.mark.parametrize(
    "name",
    [
        "../outside",
        "a/../../outside",
        "/etc/cron.d/osteon",
        "..\\outside",
        "C:\\windows\\osteon",
        "c:osteon",
        "a\nb",
        "..",
        "\\\\host\\share",
    ],
)
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    error = _refused(_zip(tmp_path / "a.zip", ("first", SLICE), (name, SLICE)), "archive-name")
    assert "entry 2" in str(error)
    assert name not in str(error)


def test_a_name_behind_a_zero_byte_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("aaaa_../x", SLICE))
    archive.write_bytes(archive.read_bytes().replace(b"aaaa_../x", b"aaaa\0../x"))
    _refused(archive, "archive-name")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, kind: int) -> None:
    entry = zipfile.ZipInfo("slice")
    entry.external_attr = (kind | 0o777) << 16
    _refused(_zip(tmp_path / "a.zip", (entry, b"/etc/passwd")), "archive-link")


def _nested() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("slice", SLICE)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [_nested(), b"\x1f\x8b\x08" + bytes(50), b"7z\xbc\xaf\x27\x1c", b"BZh91AY"])
def test_archives_in_the_archive_are_refused_whatever_they_are_called(tmp_path: Path, data: bytes) -> None:
    _refused(_zip(tmp_path / "a.zip", ("slice.dcm", SLICE), ("other.dcm", data)), "archive-nested")


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("slice", SLICE))
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    archive.write_bytes(data)
    _refused(archive, "archive-encrypted")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressions_without_a_bound_are_refused(tmp_path: Path, method: int) -> None:
    _refused(_zip(tmp_path / "a.zip", ("slice", bytes(1 << 20)), method=method), "archive-method")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("names", [("slice", "slice"), ("slice", "SLICE")])
def test_two_entries_of_one_name_are_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    _refused(_zip(tmp_path / "a.zip", *((name, SLICE) for name in names)), "archive-duplicate")


def test_more_entries_than_slices_are_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", *((str(number), b"") for number in range(11)))
    _refused(archive, "archive-entries", ArchiveSettings(entries=10))


def test_a_directory_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    """`zipfile` would take it into memory at once: here 200 MB (a hole in the file) of entries."""
    archive, size = tmp_path / "a.zip", 200 << 20
    with archive.open("wb") as file:
        file.truncate(size)
        file.seek(size)
        file.write(struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, size, 0, 0))
    _refused(archive, "archive-entries")


def test_a_bomb_is_stopped_while_it_goes_off(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("slice", SLICE), ("bomb", bytes(80 << 20)))
    assert archive.stat().st_size < 1 << 20
    _refused(archive, "archive-size")


def test_many_small_bombs_are_one(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", *((str(number), bytes(4 << 20)) for number in range(20)))
    _refused(archive, "archive-size")


def test_a_zip_that_lies_about_its_sizes_is_refused(tmp_path: Path) -> None:
    """The headers say 10 bytes where 4 MB come out."""
    archive = _zip(tmp_path / "a.zip", ("slice", bytes(4 << 20)))
    data = bytearray(archive.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", data, data.index(mark) + offset, 10)
    archive.write_bytes(data)
    _refused(archive, "archive")


def test_the_total_is_bounded_without_compression_too(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("slice", SLICE), ("more", SLICE), method=zipfile.ZIP_STORED)
    _refused(archive, "archive-size", ArchiveSettings(unpacked_bytes=len(SLICE)))
    assert len(unpack(archive, tmp_path / "out", ArchiveSettings(unpacked_bytes=2 * len(SLICE)))) == 2


def test_entries_that_share_their_bytes_are_refused(tmp_path: Path) -> None:
    """Fifield's bomb ("A better zip bomb", 2019): many names for the same compressed megabyte."""
    archive = _zip(tmp_path / "a.zip", ("0", bytes(1 << 20)))
    data = archive.read_bytes()
    start = data.index(b"PK\x01\x02")
    record = data[start : data.index(b"PK\x05\x06")]
    directory = b"".join(record[:46] + bytes([ord("0") + number]) for number in range(10))
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 10, 10, len(directory), start, 0)
    archive.write_bytes(data[:start] + directory + end)
    _refused(archive, "archive")


def test_damage_is_refused(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "a.zip", ("slice", SLICE))
    data = archive.read_bytes()
    third = len(data) // 3
    spoiled = data[:third] + b"\xff\xff\xff" + data[third + 3 :]
    for damaged in (b"", b"no zip at all" * 10, data[:40], data[: len(data) // 2], spoiled):
        archive.write_bytes(damaged)
        _refused(archive, "archive")


def test_an_empty_zip_is_refused(tmp_path: Path) -> None:
    _refused(_zip(tmp_path / "a.zip", ("folder/", b"")), "archive-empty")
