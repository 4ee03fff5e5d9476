import hashlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from fastapi.testclient import TestClient
from service import LocalFront, labelled_file, write_noise

from osteon.recipes.bundle import load_bundle
from osteon.serve.api import new_api, upload_id, upload_key
from osteon.serve.front import DeskAway
from osteon.serve.keys import add_key
from osteon.serve.ledger import Ledger, NotFound
from osteon.serve.settings import ServeSettings


@pytest.fixture
def settings(settings: ServeSettings, tmp_path: Path) -> ServeSettings:
    """Scans may be read from the test's folder, and are segmented whole."""
    return settings.model_copy(
        update={
            "sources": settings.sources.model_validate({"allow": ((tmp_path / "scans").as_uri(),)}),
            "range_megavoxels": 1.0,
        }
    )


@pytest.fixture
def api(settings: ServeSettings) -> Iterator[TestClient]:
    """The API with desk and segmenter in this process."""
    with TestClient(new_api(settings, LocalFront(settings)), base_url="http://127.0.0.1") as client:
        yield client


def sent(api: TestClient, scan: Path, **headers: str) -> dict[str, object]:
    """The segmentation of a scan that is sent, when it is over."""
    answer = api.post("/v1/segmentations?wait=60", files={"scan": (scan.name, scan.read_bytes())}, headers=headers)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_a_scan_that_is_sent_comes_back_as_osteon_segment_would_label_it(
    api: TestClient, scan: Path, model: str, tmp_path: Path
) -> None:
    segmentation = sent(api, scan)

    assert segmentation["state"] == "done"
    assert segmentation["bones"]
    result = api.get(f"/v1/segmentations/{segmentation['id']}/result?format=nifti")
    assert result.content == labelled_file(model, scan, tmp_path / "expected.nii.gz")
    assert result.headers["content-type"] == "application/gzip"


def test_the_three_ways_to_ask_give_the_same(api: TestClient, tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    scan = write_noise(tmp_path / "scans" / "scan.nii.gz")
    url = scan.as_uri()
    answers = [
        api.post("/v1/segmentations?wait=60", files={"scan": ("x.nii.gz", scan.read_bytes())}),
        api.post("/v1/segmentations?wait=60&filename=x.nii.gz", content=scan.read_bytes()),
        api.post("/v1/segmentations?wait=60", json={"source": url}),
    ]
    announced = api.post("/v1/uploads", json={"filename": "doe^john.nii.gz"}).json()
    assert api.put(announced["url"], content=scan.read_bytes()).status_code == 204
    answers.append(api.post("/v1/segmentations?wait=60", json={"upload": announced["id"]}))

    results = {api.get(f"/v1/segmentations/{answer.json()['id']}/result").content for answer in answers}
    assert [answer.json()["state"] for answer in answers] == ["done"] * 4
    assert len(results) == 1


@pytest.mark.realdata
def test_a_real_scan_by_url_and_by_upload_is_labelled_as_on_the_laptop(
    settings: ServeSettings, real_data: Path, coarse_model: str, tmp_path: Path
) -> None:
    scan = real_data / "ts-abdomen-pelvis-nifti" / "example_ct.nii.gz"
    sources = settings.sources.model_validate({"allow": (real_data.as_uri(),)})
    here = settings.model_copy(update={"sources": sources, "models": {"tiny": coarse_model}})
    with TestClient(new_api(here, LocalFront(here)), base_url="http://127.0.0.1") as api:
        ids = [
            sent(api, scan)["id"],
            api.post("/v1/segmentations?wait=60", json={"source": scan.as_uri()}).json()["id"],
        ]
        results = {api.get(f"/v1/segmentations/{id_}/result").content for id_ in ids}
    assert results == {labelled_file(coarse_model, scan, tmp_path / "expected.nii.gz")}


def test_an_idempotency_key_stands_for_one_request(api: TestClient, scan: Path, settings: ServeSettings) -> None:
    first = sent(api, scan, **{"Idempotency-Key": "k"})
    again = sent(api, scan, **{"Idempotency-Key": "k"})
    other = api.post(
        "/v1/segmentations", content=b"other", params={"filename": "x.nii"}, headers={"Idempotency-Key": "k"}
    )

    assert again == first
    assert other.status_code == 409
    assert other.json()["code"] == "other-request"
    assert len(settings.open_store().list_children("uploads")) == 1, "what came again, or was refused, is not kept"


def test_every_format_and_the_scan_come_as_files(api: TestClient, scan: Path, tmp_path: Path) -> None:
    segmentation = sent(api, scan)
    for format_ in ("nrrd", "omezarr", "stl", "json"):
        answer = api.get(f"/v1/segmentations/{segmentation['id']}/result?format={format_}")
        assert answer.status_code == 200, answer.text
        (tmp_path / format_).write_bytes(answer.content)
    assert zipfile.is_zipfile(tmp_path / "omezarr")
    assert {bone["name"] for bone in json.loads((tmp_path / "json").read_text())["bones"]}
    (tmp_path / "scan.nii.gz").write_bytes(api.get(f"/v1/segmentations/{segmentation['id']}/scan").content)
    sent_hu, back = (sitk.GetArrayFromImage(sitk.ReadImage(path)) for path in (scan, tmp_path / "scan.nii.gz"))
    assert np.array_equal(sent_hu, back)


def test_events_tell_how_far_it_is_and_end(api: TestClient, scan: Path) -> None:
    id_ = api.post("/v1/segmentations", files={"scan": (scan.name, scan.read_bytes())}).json()["id"]
    with api.stream("GET", f"/v1/segmentations/{id_}/events") as stream:
        told = [json.loads(line.removeprefix("data: ")) for line in stream.iter_lines() if line.startswith("data: ")]

    assert told[-1]["state"] == "done"
    assert [state["progress"] for state in told] == sorted(state["progress"] for state in told)


def test_a_bad_scan_ends_as_a_problem_with_the_readers_reason(api: TestClient) -> None:
    answer = api.post("/v1/segmentations?wait=60&filename=x.nii.gz", content=b"no gzip")

    assert answer.json()["state"] == "failed"
    assert answer.json()["problem"]["status"] == 422
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "invalid-request"),
        ({"source": "file:///etc/passwd"}, 403, "source-not-allowed"),
        ({"source": "http://169.254.169.254/latest/meta-data/x.nii"}, 400, "source-url"),
        ({"source": "https://169.254.169.254/x.nii"}, 403, "source-not-allowed"),
        ({"source": "s3://b/x.nii", "model": "none"}, 400, "no-such-model"),
        ({"source": "s3://b/x.nii", "colour": "red"}, 422, "invalid-request"),
        ({"upload": "../../etc"}, 404, "not-found"),
        ({"upload": "0" * 32 + "-nii"}, 410, "expired"),
    ],
)
def test_what_cannot_be_is_refused_at_once(api: TestClient, body: dict[str, str], status: int, code: str) -> None:
    answer = api.post("/v1/segmentations", json=body)

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert api.get("/v1/segmentations").json()["items"] == []


def test_a_file_of_another_kind_is_refused(api: TestClient) -> None:
    answer = api.post("/v1/segmentations", files={"scan": ("x.exe", b"MZ")})
    assert (answer.status_code, answer.json()["code"]) == (415, "media-type")


def test_deleting_leaves_nothing(api: TestClient, scan: Path, settings: ServeSettings) -> None:
    id_ = sent(api, scan)["id"]

    assert api.delete(f"/v1/segmentations/{id_}").status_code == 204
    assert api.get(f"/v1/segmentations/{id_}").status_code == 404
    assert api.get("/v1/segmentations").json() == {"items": [], "next": None}
    assert settings.open_store().list() == []


def test_there_is_no_result_of_what_failed(api: TestClient) -> None:
    id_ = api.post("/v1/segmentations?wait=60&filename=x.nii.gz", content=b"no gzip").json()["id"]
    answer = api.get(f"/v1/segmentations/{id_}/result")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-result")


def test_models_are_described(api: TestClient, model: str) -> None:
    [found] = api.get("/v1/models").json()["models"]

    assert found == api.get("/v1/models/tiny").json()
    assert found["digest"] == load_bundle(model).digest
    assert [bone["name"] for bone in found["bones"]] == ["sacrum", "femur_left", "femur_right"]
    assert api.get("/v1/models/none").status_code == 404


def test_one_service_serves_several_models(
    settings: ServeSettings, scan: Path, model: str, coarse_model: str, tmp_path: Path
) -> None:
    """One of them in memory at a time: the other is loaded again when its turn comes."""
    one_at_a_time = settings.segmenters.model_copy(update={"models": 1})
    both = settings.model_copy(update={"models": {"tiny": model, "coarse": coarse_model}, "segmenters": one_at_a_time})
    with TestClient(new_api(both, LocalFront(both)), base_url="http://127.0.0.1") as api:
        for name, url in [*both.models.items(), ("tiny", model)]:
            files = {"scan": (scan.name, scan.read_bytes())}
            answer = api.post("/v1/segmentations?wait=60", files=files, data={"model": name}).json()
            assert answer["model"] == {"name": name, "digest": load_bundle(url).digest}
            labels = api.get(f"/v1/segmentations/{answer['id']}/result").content
            assert labels == labelled_file(url, scan, tmp_path / "expected.nii.gz")
        loads = [line for line in api.get("/metrics").text.splitlines() if "model_load_seconds_count" in line]
    assert {line.rpartition(" ")[0].split('"')[1]: float(line.rpartition(" ")[2]) for line in loads} == {
        "tiny": 2.0,
        "coarse": 1.0,
    }


def test_callers_see_their_own_and_the_rest_is_closed(settings: ServeSettings, scan: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.yaml"
    anna, bert = (add_key(keys, name, frozenset({"segment", "read"})) for name in ("anna", "bert"))
    reader = add_key(keys, "reader", frozenset({"read"}))
    guard = settings.guard.model_validate({"auth": {"keys": keys}})
    closed = settings.model_copy(update={"guard": guard})
    with TestClient(new_api(closed, LocalFront(closed)), base_url="http://127.0.0.1") as api:

        def as_(key: str) -> dict[str, str]:
            return {"Authorization": f"Bearer {key}"}

        id_ = sent(api, scan, **as_(anna))["id"]
        assert api.get(f"/v1/segmentations/{id_}", headers=as_(anna)).status_code == 200
        assert api.get(f"/v1/segmentations/{id_}", headers=as_(bert)).status_code == 404
        assert api.get(f"/v1/segmentations/{id_}/result", headers=as_(bert)).status_code == 404
        assert api.delete(f"/v1/segmentations/{id_}", headers=as_(bert)).status_code == 404
        assert api.get("/v1/segmentations", headers=as_(bert)).json()["items"] == []
        assert api.get(f"/v1/segmentations/{id_}").status_code == 401
        assert api.post("/v1/segmentations", content=b"", headers=as_(reader)).status_code == 403
        assert api.get("/healthz").status_code == 200


def test_a_full_service_says_when_to_come_again(settings: ServeSettings, scan: Path) -> None:
    class Full(LocalFront):
        async def num_open(self) -> int:
            return 5

    full = settings.model_copy(update={"max_open": 5})
    with TestClient(new_api(full, Full(full)), base_url="http://127.0.0.1") as api:
        answer = api.post("/v1/segmentations", files={"scan": (scan.name, scan.read_bytes())})
    assert (answer.status_code, answer.json()["code"]) == (503, "queue-full")
    assert int(answer.headers["retry-after"]) >= 1


def test_names_of_files_are_kept_nowhere(api: TestClient, scan: Path, settings: ServeSettings) -> None:
    api.post("/v1/segmentations?wait=60", files={"scan": ("doe_john_1970.nii.gz", scan.read_bytes())})
    store = settings.open_store()
    assert not [key for key in store.list() if "doe" in key or b"doe" in store.read_bytes(key)]


def test_an_uploads_id_is_its_key() -> None:
    key = f"uploads/{hashlib.md5(b'').hexdigest()}/scan.nii.gz"
    assert upload_key(upload_id(key)) == key
    with pytest.raises(NotFound):
        upload_key("x")


def test_an_accepted_order_is_in_the_store_before_the_answer(settings: ServeSettings, scan: Path) -> None:
    class Away(LocalFront):
        async def take(self, id_: str) -> None:
            raise DeskAway("queue-full", f"the desk does not answer about {id_}")

        async def drop(self, id_: str) -> None:
            await self.take(id_)

        async def num_open(self) -> int:
            raise DeskAway("queue-full", "the desk does not answer")

        async def ended(self, id_: str, within_s: float) -> None:
            raise DeskAway("queue-full", f"the desk does not answer about {id_} within {within_s:g} s")

    with TestClient(new_api(settings, Away(settings)), base_url="http://127.0.0.1") as api:
        id_ = api.post("/v1/segmentations", files={"scan": (scan.name, scan.read_bytes())}).json()["id"]
        assert Ledger(settings.open_store()).open_ids() == [id_]
        again = api.post("/v1/segmentations?wait=0.3", files={"scan": (scan.name, scan.read_bytes())}).json()
        assert again["state"] == "accepted"
        assert api.delete(f"/v1/segmentations/{again['id']}").status_code == 204
        assert api.get("/readyz").status_code == 503
        assert api.delete(f"/v1/segmentations/{id_}").status_code == 204
    assert Ledger(settings.open_store()).open_ids() == []
