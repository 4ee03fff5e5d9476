"""WADO-RS from a real HTTPS server: the series comes whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from https import HttpsServer, give, lead_here, serve_https

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.data.phantom.dicom import to_series
from osteon.recipes.apply import read_scan
from osteon.serve.dicomweb import fetch_series, is_series, split_parts
from osteon.serve.intake import Intake
from osteon.serve.schemas import Order
from osteon.serve.settings import ServeSettings
from osteon.serve.sources import SourceSettings
from osteon.storage.stores import open_store

HOST = "pacs.test"
SERIES = "/dicom-web/studies/1.2.3/series/4.5.6"
HU = np.random.default_rng(0).integers(-1000, 1500, (4, 8, 6)).astype(np.int16)
FILES = [file.to_bytes() for file in to_series("case", HU, Grid(HU.shape, (2.0, 0.5, 0.75)), (7,))]


def multipart(files: list[bytes], boundary: bytes = b"=_part.7", before: bytes = b"\r\n") -> bytes:
    """An answer as PS3.18 describes it."""
    head = b"--" + boundary + b"\r\nContent-Type: application/dicom;transfer-syntax=1.2.840.10008.1.2.1\r\n\r\n"
    return before + b"".join(head + file + b"\r\n" for file in files) + b"--" + boundary + b"--\r\n"


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serve_https(tmp_path_factory.mktemp("https"), HOST) as server:
        server.answers[SERIES] = give(multipart(FILES))
        yield server


@pytest.fixture
def sources(https: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> SourceSettings:
    lead_here(HOST, https, monkeypatch)
    allow = (f"https://{HOST}:{https.port}/dicom-web",)
    return SourceSettings.model_validate({"allow": allow, "networks": ["127.0.0.1/32"]})


def test_a_series_is_fetched_file_by_file(https: HttpsServer, sources: SourceSettings, tmp_path: Path) -> None:
    url = f"https://{HOST}:{https.port}{SERIES}"
    assert fetch_series(url, tmp_path / "dicom", sources, max_bytes=1 << 20, max_files=4) == len(FILES)
    assert [path.read_bytes() for path in sorted((tmp_path / "dicom").iterdir())] == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["dicom"]  # the answer itself is gone
    scan = read_scan(tmp_path / "dicom", tmp_path / "scratch")
    np.testing.assert_array_equal(scan.image.read((0, 0, 0), HU.shape).result(), HU)


def test_an_order_may_name_a_series(https: HttpsServer, sources: SourceSettings, tmp_path: Path) -> None:
    settings = ServeSettings(models={"m": "nowhere"}, store=str(tmp_path / "store"), sources=sources)
    url = f"https://{HOST}:{https.port}{SERIES}"
    order = Order(id="1", owner="local", model="m", source=url, created=datetime.now(UTC), digest="0")
    place = Intake(settings, open_store(settings.store))(order, tmp_path)
    assert len(list(Path(place).iterdir())) == len(FILES)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://pacs/dicom-web/studies/1.2/series/3.4", True),
        ("https://pacs/studies/1.2/series/3.4", True),
        ("https://pacs/dicom-web/studies/1.2", False),
        ("https://pacs/dicom-web/studies/1.2/series/3.4/instances/5", False),
        ("https://pacs/studies/1.2/series/x.nii.gz", False),
        ("s3://bucket/studies/1.2/series/3.4", False),
    ],
)
def test_what_is_a_series(url: str, expected: bool) -> None:
    assert is_series(url) == expected


def test_parts_may_hold_anything(tmp_path: Path) -> None:
    files = [b"", b"\r\n--=_part.", b"--=_part.7\r\n", bytes(range(256)) * 9000, b"\r\n\r\n"]
    (tmp_path / "body").write_bytes(multipart(files, before=b""))
    assert split_parts(tmp_path / "body", tmp_path / "out", max_files=9) == len(files)
    assert [path.read_bytes() for path in sorted((tmp_path / "out").iterdir())] == files


WHOLE = multipart(FILES[:2])


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", FILES[0], WHOLE[:-9], WHOLE[:200], b"--\r\n\r\n", b"--" + b"b" * 100 + b"\r\n\r\n", b"--b--\r\n"],
)
def test_what_is_no_series_is_refused(tmp_path: Path, body: bytes) -> None:
    (tmp_path / "body").write_bytes(body)
    with pytest.raises(BadInput) as caught:
        split_parts(tmp_path / "body", tmp_path / "out", max_files=9)
    assert caught.value.code == "source-multipart"


def test_more_files_than_allowed_are_refused(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(multipart([b"x"] * 5))
    with pytest.raises(BadInput) as caught:
        split_parts(tmp_path / "body", tmp_path / "out", max_files=4)
    assert caught.value.code == "source-files"
    assert len(list((tmp_path / "out").iterdir())) == 4
