import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI
from local import serve_locally
from seaweed import free_ports
from service import LocalFront, write_noise
from starlette.types import Receive, Scope, Send

from osteon.core.errors import BadInput, BadScan, OsteonError, StoreError
from osteon.core.geometry import Grid
from osteon.data.phantom.dicom import to_series
from osteon.recipes.apply import read_scan, segment_scan
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.serve.api import new_api
from osteon.serve.client import Client
from osteon.serve.keys import add_key
from osteon.serve.schemas import Segmentation
from osteon.serve.settings import ServeSettings
from osteon.storage.export import write_scan


@pytest.fixture
def settings(settings: ServeSettings) -> ServeSettings:
    """Scans are segmented whole."""
    return settings.model_copy(update={"range_megavoxels": 1.0})


@pytest.fixture
def app(settings: ServeSettings) -> FastAPI:
    return new_api(settings, LocalFront(settings))


@pytest.fixture
def client(app: FastAPI) -> Iterator[Client]:
    with serve_locally(app) as url, Client(url, patience_s=20) as client:
        yield client


def test_a_scan_is_sent_followed_and_fetched(client: Client, scan: Path, model: str, tmp_path: Path) -> None:
    bundle, read = load_bundle(model), read_scan(scan, tmp_path)
    labels, table = segment_scan(segmenter_of(bundle), bundle.recipe.prepare, read)
    write_scan(tmp_path / "expected.nii.gz", labels, read.image.grid, read.provenance, table=table)
    told: list[Segmentation] = []

    id_ = client.send(scan).id
    segmentation = client.follow(id_, told.append)
    client.fetch(id_, tmp_path / "labels.nii.gz")

    assert (tmp_path / "labels.nii.gz").read_bytes() == (tmp_path / "expected.nii.gz").read_bytes()
    assert told[-1] == segmentation
    assert segmentation.model.digest == client.model("tiny").digest == client.models()[0].digest
    assert [found.id for found in client.list().items] == [id_]
    client.delete(id_)
    with pytest.raises(BadInput, match="no segmentation"):
        client.get(id_)


@pytest.mark.parametrize("name", ["doe.john.v2.nii.gz", "doe.john.NRRD"])
def test_of_a_files_name_only_the_ending_leaves_this_machine(
    client: Client, settings: ServeSettings, tmp_path: Path, name: str
) -> None:
    write_noise(tmp_path / "scan.nrrd" if name.endswith("NRRD") else tmp_path / "scan.nii.gz").rename(tmp_path / name)

    assert client.follow(client.send(tmp_path / name).id).state == "done"
    store = settings.open_store()
    assert store.list("uploads")
    assert not [key for key in store.list() if "doe" in key or b"doe" in store.read_bytes(key)]


def test_a_folder_of_dicom_and_one_of_its_files_go_as_zips(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    hu = np.random.default_rng(0).integers(-1000, 1500, (8, 24, 20)).astype(np.int16)
    for file in to_series("case", hu, Grid(hu.shape, (2.0, 1.0, 1.0), (-30.0, 12.0, 5.0)), (1,)):
        (folder / file.name).write_bytes(file.to_bytes())
    (folder / ".DS_Store").write_bytes(b"no slice")

    segmentation = client.follow(client.send(folder).id)
    assert "dicomseg" in segmentation.formats
    client.fetch(segmentation.id, tmp_path / "labels.dcm", format="dicomseg")
    assert (tmp_path / "labels.dcm").read_bytes()[128:132] == b"DICM"
    assert client.follow(client.send(next(folder.glob("*.dcm"))).id).state == "done"


@pytest.mark.parametrize(
    ("name", "code"), [("none.nii.gz", "no-scan"), ("x.exe", "media-type"), ("x.zarr", "media-type")]
)
def test_what_is_no_scan_is_refused_here(client: Client, tmp_path: Path, name: str, code: str) -> None:
    (tmp_path / "x.exe").write_bytes(b"MZ")
    (tmp_path / "x.zarr").mkdir()
    with pytest.raises(BadInput) as refusal:
        client.send(tmp_path / name)
    assert refusal.value.code == code


def test_refusals_of_the_service_are_ours(client: Client, scan: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.nii.gz").write_bytes(b"no gzip")
    with pytest.raises(BadScan) as bad:
        client.follow(client.send(tmp_path / "bad.nii.gz").id)
    with pytest.raises(BadInput, match="does not read") as outside:
        client.send("file:///etc/passwd")
    with pytest.raises(BadInput, match="choose among tiny") as unknown:
        client.send(scan, model="large")
    with pytest.raises(BadInput, match="knows no knee") as bone:
        client.follow(client.send(scan, labels=["knee"]).id)
    assert [found.value.code for found in (bad, outside, unknown, bone)][1:] == [
        "source-not-allowed",
        "no-such-model",
        "unknown-bone",
    ]


def test_a_scan_that_is_too_large_is_refused_before_it_is_sent(settings: ServeSettings, scan: Path) -> None:
    limits = settings.guard.limits.model_copy(update={"scan_bytes": 100})
    small = settings.model_copy(update={"guard": settings.guard.model_copy(update={"limits": limits})})
    with (
        serve_locally(new_api(small, LocalFront(small))) as url,
        Client(url) as client,
        pytest.raises(BadInput) as refusal,
    ):
        client.send(scan)
    assert refusal.value.code == "too-large"
    assert small.open_store().list() == []


def test_a_key_is_sent_from_the_environment(
    settings: ServeSettings, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = add_key(tmp_path / "keys.yaml", "anna", frozenset({"segment", "read"}))
    guard = settings.guard.model_validate({"auth": {"keys": tmp_path / "keys.yaml"}})
    closed = settings.model_copy(update={"guard": guard})
    with serve_locally(new_api(closed, LocalFront(closed))) as url:
        with pytest.raises(BadInput) as refusal, Client(url) as stranger:
            stranger.send(scan)
        assert refusal.value.code == "no-key"
        monkeypatch.setenv("OSTEON_KEY", secret)
        with Client(url) as client:
            assert client.follow(client.send(scan).id).state == "done"


class Shaky:
    """The service behind a network that loses things: each request's first answer is cut off or never comes."""

    def __init__(self, app: FastAPI) -> None:
        self._app, self.failed = app, set[tuple[str, str]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = (scope["method"], scope["path"])
        if key in self.failed or len(key[1]) < len("/v1/models "):
            await self._app(scope, receive, send)
            return
        self.failed.add(key)

        async def lost(message: object) -> None:
            del message

        await self._app(scope, receive, lost)  # it was done, and nobody heard of it
        start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]}
        await send(start)
        await send({"type": "http.response.body", "body": b"half", "more_body": False})


def test_lost_answers_cost_nothing(app: FastAPI, scan: Path, settings: ServeSettings, tmp_path: Path) -> None:
    shaky = Shaky(app)
    with serve_locally(shaky) as url, Client(url, patience_s=60) as client:
        id_ = client.send(scan).id
        client.follow(id_)
        client.fetch(id_, tmp_path / "first.nii.gz")  # torn, and asked for again
        client.fetch(id_, tmp_path / "second.nii.gz")

    assert {method for method, _ in shaky.failed} == {"POST", "PUT", "GET"}
    assert len(settings.open_store().list_children("orders")) == 1, "asked twice, it is one order"
    assert len(settings.open_store().list_children("uploads")) == 1
    assert (tmp_path / "first.nii.gz").read_bytes() == (tmp_path / "second.nii.gz").read_bytes()


def test_nothing_is_left_of_a_result_that_does_not_come(
    client: Client, scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = client.follow(client.send(scan).id).id
    out = tmp_path / "out"

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    with pytest.raises(OsteonError, match="dicom"):
        client.fetch(id_, out / "labels.dcm", format="dicomseg")
    monkeypatch.setattr("httpx.Response.iter_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        client.fetch(id_, out / "labels.nii.gz")
    assert not list(out.glob("**/*"))


def test_an_address_where_nobody_answers_is_told_at_once() -> None:
    begun = time.monotonic()
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    with Client(address) as client, pytest.raises(StoreError, match="check the address") as refusal:
        client.models()
    assert refusal.value.code == "no-server"
    assert time.monotonic() - begun < 30


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://host", "http://", ""])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as refusal:
        Client(url)
    assert refusal.value.code == "server-url"


def test_a_service_that_is_away_for_a_while_is_waited_for(app: FastAPI, scan: Path, settings: ServeSettings) -> None:
    [port] = free_ports(1)
    ended: list[Segmentation] = []
    with Client(f"http://127.0.0.1:{port}", patience_s=60) as client:
        with serve_locally(app, port):
            id_ = client.follow(client.send(scan).id).id
        following = threading.Thread(target=lambda: ended.append(client.follow(id_)))
        following.start()
        time.sleep(1)
        with serve_locally(new_api(settings, LocalFront(settings)), port):
            following.join()
    assert ended[0].state == "done"


def test_a_stores_signed_address_never_sees_the_key(
    settings: ServeSettings, scan: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str | None, str | None, int]] = []

    class Bucket(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            sent = len(self.rfile.read(int(self.headers["Content-Length"] or 0)))
            seen.append((self.headers["Authorization"], self.headers["Transfer-Encoding"], sent))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as bucket:
        threading.Thread(target=bucket.serve_forever).start()
        address = f"http://127.0.0.1:{bucket.server_address[1]}/scan?signature=x"
        monkeypatch.setattr("osteon.storage.stores.Store.sign_put", lambda *_: address)
        monkeypatch.setattr("osteon.storage.stores.Store.exists", lambda *_: True)
        with serve_locally(new_api(settings, LocalFront(settings))) as url, Client(url, "secret") as client:
            client.send(scan)
        bucket.shutdown()
    assert seen == [(None, None, scan.stat().st_size)], "S3 takes neither a second key nor bodies of unknown length"


def test_a_scan_goes_to_an_object_store_past_the_service(
    settings: ServeSettings, scan: Path, s3_url: str, tmp_path: Path
) -> None:
    stored = settings.model_copy(update={"store": s3_url})
    app, asked = new_api(stored, LocalFront(stored)), list[tuple[str, str]]()

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        asked.append((scope["method"], scope["path"]))
        await app(scope, receive, send)

    with serve_locally(watched) as url, Client(url) as client:
        id_ = client.follow(client.send(scan).id).id
        client.fetch(id_, tmp_path / "labels.nii.gz")
        client.delete(id_)

    assert (tmp_path / "labels.nii.gz").stat().st_size > 0
    assert not [request for request in asked if request[0] == "PUT"], "no byte of the scan came by"
    assert stored.open_store().list() == []
