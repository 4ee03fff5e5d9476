"""A series comes from an archive, and its bones go back there: once, with a token, where the operator allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicomweb import ROOT, DicomWeb
from fastapi.testclient import TestClient
from https import HttpsServer, lead_here, serve_https
from service import LocalFront

from osteon.core.errors import BadInput, StoreError
from osteon.core.geometry import Grid
from osteon.data.phantom.dicom import to_series
from osteon.serve import desk as desk_module
from osteon.serve.api import new_api
from osteon.serve.deposit import check_deposit, study_of
from osteon.serve.settings import ServeSettings
from osteon.serve.sources import SourceSettings, token_for

HOST = "pacs.test"
HU = np.random.default_rng(0).integers(-1000, 1500, (24, 24, 24)).astype(np.int16)
FILES = [file.to_bytes() for file in to_series("case", HU, Grid(HU.shape, (2.0, 1.5, 1.5)), (7,))]
Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def https(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpsServer]:
    with serve_https(tmp_path_factory.mktemp("https"), HOST) as server:
        yield server


@pytest.fixture
def archive(https: HttpsServer, monkeypatch: pytest.MonkeyPatch) -> DicomWeb:
    lead_here(HOST, https, monkeypatch)
    monkeypatch.setattr(desk_module, "RETRY_S", 0.0)
    return DicomWeb(FILES, "secret")


@pytest.fixture
def series(https: HttpsServer, archive: DicomWeb) -> str:
    return f"https://{HOST}:{https.port}{archive.open(https)}"


@pytest.fixture(params=[1.0, 0.005], ids=["whole", "in ranges"])
def here(request: pytest.FixtureRequest, settings: ServeSettings, https: HttpsServer, tmp_path: Path) -> ServeSettings:
    """A service that may read from the archive, and give to it."""
    (tmp_path / "token").write_text("secret\n")
    prefix = f"https://{HOST}:{https.port}{ROOT}"
    told = {"allow": [prefix], "deposit": [prefix], "tokens": {prefix: tmp_path / "token"}}
    sources = SourceSettings.model_validate(told | {"networks": ["127.0.0.1/32"]})
    return settings.model_copy(update={"sources": sources, "range_megavoxels": request.param})


def client(settings: ServeSettings) -> TestClient:
    return TestClient(new_api(settings, LocalFront(settings)), base_url="http://127.0.0.1")


def asked(settings: ServeSettings, source: str, **wishes: object) -> dict[str, Any]:
    """The segmentation of a source, when it is over, or why it was refused."""
    with client(settings) as api:
        return dict(api.post("/v1/segmentations?wait=60", json={"source": source, **wishes}).json())


def test_the_bones_go_into_the_study_they_came_from(here: ServeSettings, archive: DicomWeb, series: str) -> None:
    segmentation = asked(here, series, deposit=True)

    assert segmentation["state"] == "done", segmentation
    [seg] = archive.stored.values()
    assert (seg.Modality, archive.attempts) == ("SEG", 1)
    assert f"/studies/{seg.StudyInstanceUID}/" in series
    assert len(seg.SegmentSequence) == len(segmentation["bones"]) > 0


@pytest.mark.parametrize("here", [1.0], indirect=True)
class TestOfAWholeScan:
    def test_nothing_goes_there_unasked(self, here: ServeSettings, archive: DicomWeb, series: str) -> None:
        assert asked(here, series)["state"] == "done"
        assert archive.attempts == 0

    def test_an_archive_that_is_away_is_asked_again(self, here: ServeSettings, archive: DicomWeb, series: str) -> None:
        archive.refusals = [503, 502]
        assert asked(here, series, deposit=True)["state"] == "done"
        assert (archive.attempts, len(archive.stored)) == (3, 1)

    def test_the_same_bones_are_one_object_there(self, here: ServeSettings, archive: DicomWeb, series: str) -> None:
        for _ in range(2):
            assert asked(here, series, deposit=True)["state"] == "done"
        assert (archive.attempts, len(archive.stored)) == (2, 1)

    def test_an_archive_that_refuses_is_told(self, here: ServeSettings, archive: DicomWeb, series: str) -> None:
        archive.refusals = [409]
        segmentation = asked(here, series, deposit=True)
        assert (segmentation["state"], segmentation["problem"]["code"]) == ("failed", "archive-refused")
        assert "1.2." not in segmentation["problem"]["where"], "a study's identifier names a patient"
        assert len(segmentation["bones"]) > 0
        with client(here) as api:
            kept = api.get(f"/v1/segmentations/{segmentation['id']}/result?format=dicomseg")
        assert kept.status_code == 200, "what was found is not lost with it"

    def test_without_the_token_the_series_stays_there(
        self, here: ServeSettings, archive: DicomWeb, series: str
    ) -> None:
        archive.token = "another"
        assert asked(here, series)["problem"]["code"] == "source-refused"

    def test_what_the_operator_does_not_allow_is_refused_at_once(
        self, here: ServeSettings, archive: DicomWeb, series: str
    ) -> None:
        closed = here.model_copy(update={"sources": here.sources.model_copy(update={"deposit": ()})})
        refusal = asked(closed, series, deposit=True)
        assert (refusal["status"], refusal["code"]) == (403, "deposit-not-allowed")
        assert archive.attempts == 0


@pytest.mark.parametrize("source", ["", "s3://scans/a.nii.gz", "https://pacs/studies/1.2", "https://pacs/a.zip"])
def test_only_a_series_goes_back(source: str) -> None:
    with pytest.raises(BadInput, match="deposit-series"):
        check_deposit(source, SourceSettings(deposit=("https://pacs/studies",)))


def test_a_study_is_what_lies_above_its_series() -> None:
    assert study_of("https://pacs:8443/web/studies/1.2/series/3.4?x=y") == "https://pacs:8443/web/studies/1.2"


def test_a_token_is_shown_to_whom_it_belongs_and_read_anew(tmp_path: Path) -> None:
    wide, narrow = tmp_path / "wide", tmp_path / "narrow"
    settings = SourceSettings(tokens={"https://pacs/web": wide, "https://pacs/web/ct": narrow})
    narrow.write_text("two\n")
    assert token_for("https://pacs/web/ct/1", settings) == "two"
    for other in ("https://pacs/webs", "https://pacs:444/web", "https://evil/web", "s3://pacs/web"):
        assert token_for(other, settings) is None
    with pytest.raises(StoreError, match="token-file"):
        token_for("https://pacs/web/mr/1", settings)
    wide.write_text("one")
    assert token_for("https://pacs/web/mr/1", settings) == "one"


@pytest.mark.parametrize("prefix", ["s3://bucket/x", "http://pacs/web", "https://"])
def test_tokens_are_for_https_only(prefix: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="source-prefix"):
        SourceSettings(tokens={prefix: tmp_path / "token"})
