"""Sources: only what lies below an allowed prefix, whichever way the URL tries to look like it."""

import ipaddress
import os
from pathlib import Path

import pytest

from osteon.core.errors import BadInput
from osteon.serve.sources import SourceSettings, check_source, is_allowed_address

SETTINGS = SourceSettings(
    allow=("s3://scans/inbox", "https://pacs.example/ct", "https://pacs.example:8443/", "s3://open")
)


@pytest.mark.parametrize(
    "url",
    [
        "s3://scans/inbox/a.nii.gz",
        "s3://scans/inbox",
        "s3://scans/inbox/cases/a..b.zarr/",
        "s3://open/anything/at/all.mha",
        "https://pacs.example/ct/1.nii.gz?X-Amz-Signature=abc%2Fdef",
        "https://PACS.example:443/ct/1.nii.gz",
        "https://pacs.example:8443/anywhere",
    ],
)
def test_what_lies_below_a_prefix_is_allowed(url: str) -> None:
    assert check_source(url, SETTINGS) == url


@pytest.mark.parametrize(
    "url",
    [
        "s3://scans/inbox-of-others/a.nii.gz",
        "s3://scans/",
        "s3://scans",
        "s3://openly/a.nii.gz",
        "s3://scans.evil.example/inbox/a.nii.gz",
        "https://pacs.example/ctx/a",
        "https://pacs.example/",
        "https://pacs.example:444/ct/a",
        "https://pacs.example.evil.example/ct/a",
        "https://evilpacs.example/ct/a",
        "https://169.254.169.254/ct/a",
        "https://[::1]/ct/a",
        "https://pacs.example./ct/a",
        "file:///etc/passwd",
        "file:///ct",
    ],
)
def test_what_lies_elsewhere_is_not(url: str) -> None:
    with pytest.raises(BadInput, match="source-not-allowed"):
        check_source(url, SETTINGS)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://pacs.example/ct/a",
        "/etc/passwd",
        "etc/passwd",
        "",
        "ftp://pacs.example/ct/a",
        "gopher://pacs.example/ct/a",
        "data:text/plain,abc",
        "//pacs.example/ct/a",
        "https://pacs.example@evil.example/ct/a",
        "https://evil.example\\@pacs.example/ct/a",
        "https://user:secret@pacs.example/ct/a",
        "https://pacs.example/ct/../admin",
        "https://pacs.example/ct/%2e%2e/admin",
        "https://pacs.example/ct/%252e%252e/admin",
        "https://pacs.example/ct/..%2fadmin",
        "https://pacs.example/ct/a#fragment",
        "https://pacs.example/ct/a b",
        "https://pacs.example/ct/a\r\nHost: evil.example",
        "https://pacs.exa\tmple/ct/a",
        "https://pacs.example:99999/ct/a",
        "https://pacs.example:port/ct/a",
        "https://[::1/ct/a",
        "https://pаcs.example/ct/a",
        "s3://scans/inbox/../secret",
        "s3://scans/inbox/%2e%2e/secret",
        "s3://scans/inbox/a?versionId=1",
        "file://fileserver/share/a.nii",
    ],
)
def test_what_can_be_read_in_two_ways_is_no_url(url: str) -> None:
    with pytest.raises(BadInput, match="source-url"):
        check_source(url, SETTINGS)


def test_a_refusal_does_not_repeat_what_may_be_secret() -> None:
    with pytest.raises(BadInput) as caught:
        check_source("https://evil.example/DOE-JANE.nii?signature=abc", SETTINGS)
    assert "evil.example" in str(caught.value)
    assert "DOE" not in str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://scans/a", "https://pacs.example/ct", "file:///tmp/a"])
def test_nothing_is_allowed_by_default(url: str) -> None:
    with pytest.raises(BadInput, match="source-not-allowed"):
        check_source(url, SourceSettings())


@pytest.mark.parametrize("prefix", ["file:///", "s3://", "https:///ct", "/srv/scans", "http://a/b", "https://a/?b=c"])
def test_a_prefix_that_names_no_place_is_refused(prefix: str) -> None:
    with pytest.raises(BadInput, match="source-"):
        SourceSettings(allow=(prefix,))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An allowed folder with a scan, beside one that is not."""
    for name in ("allowed", "allowed-not"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.nii").write_bytes(b"scan")
    return tmp_path / "allowed"


def _check(path: str | Path, folder: Path) -> str:
    return check_source(f"file://{path}", SourceSettings(allow=(folder.as_uri(),)))


def test_files_in_an_allowed_folder_are(folder: Path) -> None:
    (folder / "a b").mkdir()
    (folder / "a b" / "c.nii").touch()
    (folder / "link.nii").symlink_to(folder / "scan.nii")
    assert _check(folder / "scan.nii", folder) == (folder / "scan.nii").as_uri()
    assert _check(f"{folder}/a%20b/c.nii", folder) == (folder / "a b" / "c.nii").as_uri()
    assert _check(folder / "link.nii", folder) == (folder / "scan.nii").as_uri()
    assert _check(folder, folder) == folder.as_uri()


def test_a_folder_that_is_itself_a_link_may_be_allowed(folder: Path) -> None:
    link = folder.parent / "mounted"
    link.symlink_to(folder)
    assert _check(link / "scan.nii", link) == (folder / "scan.nii").as_uri()


def test_files_outside_are_not(folder: Path) -> None:
    for path in ("/etc/passwd", folder.parent / "allowed-not" / "scan.nii", folder.parent, "/"):
        with pytest.raises(BadInput, match="source-not-allowed"):
            _check(path, folder)
    for text in (f"{folder}/../allowed-not/scan.nii", f"{folder}/%2e%2e/allowed-not/scan.nii"):
        with pytest.raises(BadInput, match="source-url"):
            _check(text, folder)


@pytest.mark.parametrize("target", ["../allowed-not/scan.nii", "/etc/passwd", "../allowed-not", "/"])
def test_links_that_lead_out_are_not(folder: Path, target: str) -> None:
    (folder / "series").mkdir()
    (folder / "series" / "000001").symlink_to(target if target.startswith("/") else f"../{target}")
    for path in (folder / "series" / "000001", folder / "series", folder):
        with pytest.raises(BadInput, match="source-not-allowed"):
            _check(path, folder)


def test_a_linked_folder_is_not_followed(folder: Path) -> None:
    """Links out could hide in it."""
    (folder / "real").mkdir()
    (folder / "series").mkdir()
    (folder / "series" / "more").symlink_to(folder / "real")
    with pytest.raises(BadInput, match="source-not-allowed"):
        _check(folder / "series", folder)


def test_what_is_not_there_or_no_file_is_not_found(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    (folder / "loop").symlink_to("loop")
    for name in ("nothing.nii", "pipe", "loop", "a%00b"):
        with pytest.raises(BadInput, match=r"not-found|source-url"):
            _check(f"{folder}/{name}", folder)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "169.254.169.254",
        "100.64.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "239.1.2.3",
        "240.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fd00:ec2::254",
        "ff02::1",
        "ff0e::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::127.0.0.1",
        "2002:7f00:1::",
        "2002:a00:1::",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "2001:db8::1",
    ],
)
def test_addresses_inside_are_refused(address: str) -> None:
    assert not is_allowed_address(ipaddress.ip_address(address), SourceSettings())


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed_address(ipaddress.ip_address(address), SourceSettings())


def test_a_network_that_the_operator_names_is_allowed() -> None:
    settings = SourceSettings.model_validate({"networks": ["10.20.0.0/16", "fd12:3456::/32"]})
    allowed = {
        text: is_allowed_address(ipaddress.ip_address(text), settings)
        for text in ("10.20.1.2", "::ffff:10.20.1.2", "fd12:3456::1", "10.21.1.2", "127.0.0.1")
    }
    assert [text for text, is_allowed in allowed.items() if is_allowed] == [
        "10.20.1.2",
        "::ffff:10.20.1.2",
        "fd12:3456::1",
    ]
