"""The service against the same work without it: a served scan, an accepted request, an upload, many callers at once.

One `osteon serve` with one segmenter answers all of it. The network is untrained and small: what is measured is what
the service adds to it.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import torch
import uvicorn
import yaml
from harness import Row, compare, parser, report
from scan import Scan
from seaweed import free_ports
from service import Service, await_ready
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from osteon.core.labels import BONES
from osteon.data.preprocess import ModelGrid
from osteon.inference.windows import StreamSpec
from osteon.models.build import build
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.apply import read_scan, segment_scan
from osteon.recipes.bundle import load_bundle, save_bundle, segmenter_of
from osteon.recipes.recipe import Recipe
from osteon.storage.export import write_scan
from osteon.storage.stores import open_store
from osteon.storage.writer import provenance_of, write_zarr

TABLE = BONES.subset(range(1, 25))
CALLERS, SCANS_EACH = 8, 2
ASKED = 20  # requests for a latency
MB = 1_000_000


def main() -> None:
    """Print the rows."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        bench = Bench.make(Path(name), small=options.small)
        with bench.serving() as service:
            rows = bench.rows(service, options.rounds)
    report(rows, as_json=options.json)


@dataclass(frozen=True)
class Bench:
    """What is served.

    Attributes:
        folder: scratch; scans may be fetched from it.
        model: URL.
        scan: one of a usual size.
        small_scan: one that takes little more than a request does.
        sizes: stored cases by their megabytes of HU.
        body: bytes of an upload.
    """

    folder: Path
    model: str
    scan: Path
    small_scan: Path
    sizes: dict[int, str]
    body: bytes

    @classmethod
    def make(cls, folder: Path, *, small: bool) -> Bench:
        """Write a model and scans."""
        recipe = Recipe(
            name="bench",
            grid=ModelGrid(spacing_mm=(2.0, 2.0, 2.0)),
            model=UNet3dSpec(channels=(16, 32, 64), num_auxiliary=0),
            inference=StreamSpec(window_shape=(64, 64, 64)),
        )
        torch.manual_seed(0)
        network = build(recipe.model, num_classes=len(TABLE) + 1)
        save_bundle(open_store(str(folder / "model")), "", recipe, TABLE, network, {})
        depths = (40, 80) if small else (100, 1000)
        sizes = {n * 512 * 512 * 2 // MB: _write_case(folder, n) for n in depths}
        scan = _write_scan(folder / "scan.nii.gz", 60 if small else 240, 128 if small else 256)
        small_scan = _write_scan(folder / "small.nii.gz", 48, 64)
        return cls(folder, str(folder / "model"), scan, small_scan, sizes, os.urandom((20 if small else 200) * MB))

    @contextmanager
    def serving(self) -> Iterator[Service]:
        """`osteon serve` with these."""
        settings = {
            "models": {"bench": self.model},
            "store": str(self.folder / "store"),
            "sources": {"allow": [self.folder.as_uri()]},
            "guard": {"limits": {"caller": {"requests_per_s": 1000, "burst": 10000, "uploads": 100}}},
        }
        config = self.folder / "serve.yaml"
        config.write_text(yaml.safe_dump(settings))
        [port] = free_ports(1)
        command = [sys.executable, "-m", "osteon.cli.main", "serve", "--config", str(config), "--port", str(port)]
        with (self.folder / "serve.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        service = Service(f"http://127.0.0.1:{port}", process)
        await_ready(service, self.folder / "serve.log")
        try:
            yield service
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(120)

    def rows(self, service: Service, rounds: int) -> list[Row]:
        """Every aim."""
        http = httpx.Client(base_url=service.url, timeout=600)
        bundle = load_bundle(self.model)
        segmenter = segmenter_of(bundle)

        def offline() -> float:
            began = time.perf_counter()
            with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
                scan = read_scan(self.scan, Path(scratch))
                labels, table = segment_scan(segmenter, bundle.recipe.prepare, scan)
                hu = scan.image.read((0, 0, 0), scan.image.grid.shape).result().astype(np.int16, copy=False)
                write_zarr(str(Path(scratch) / "out.zarr"), hu, labels, scan.image.grid, table, scan.provenance)
            return time.perf_counter() - began

        rows = [
            compare(
                "one scan by URL, until it is done",
                "read, segment, write in one process",
                peer=offline,
                ours=lambda: _seconds(http, self.scan),
                unit="s",
                rounds=rounds,
                aim=0.95,
            )
        ]
        for megabytes, url in self.sizes.items():
            asked = [_accept(http, url) for _ in range(ASKED)]
            rows.append(
                Row(
                    f"a request by URL is accepted, {megabytes} MB",
                    "limit",
                    "ms",
                    50.0,
                    statistics.median(asked),
                    1.0,
                    ASKED,
                )
            )
        with _bare(self.folder) as bare:
            rows.append(
                compare(
                    f"an upload of {len(self.body) // MB} MB",
                    "bare uvicorn",
                    peer=lambda: _put(http, bare, self.body),
                    ours=lambda: _put(http, _announced(http), self.body),
                    unit="s",
                    rounds=rounds,
                    aim=0.8,
                )
            )
        rows.append(
            compare(
                f"{CALLERS * SCANS_EACH} scans by {CALLERS} callers at once",
                "one caller, one after the other",
                peer=lambda: _many(service.url, self.small_scan, 1, CALLERS * SCANS_EACH),
                ours=lambda: _many(service.url, self.small_scan, CALLERS, SCANS_EACH),
                unit="s",
                rounds=rounds,
                aim=0.95,
            )
        )
        return rows


def _write_scan(path: Path, depth: int, side: int) -> Path:
    scan = Scan.make((depth, side, side))
    write_scan(path, scan.image, scan.grid, provenance_of(scan.image, None, scan.grid), table=None)
    return path


def _write_case(folder: Path, depth: int) -> str:
    scan = Scan.make((depth, 512, 512))
    url = (folder / f"case-{depth}.zarr").as_uri()
    write_zarr(url, scan.image, None, scan.grid, TABLE)
    return url


def _seconds(http: httpx.Client, scan: Path) -> float:
    """From the request to the end of a scan that the service reads by its URL."""
    began = time.perf_counter()
    answer = http.post("/v1/segmentations", params={"wait": 60}, json={"source": scan.as_uri()}).json()
    while answer["state"] != "done":
        assert answer["problem"] is None, answer
        time.sleep(0.05)
        answer = http.get(f"/v1/segmentations/{answer['id']}").json()
    seconds = time.perf_counter() - began
    http.delete(f"/v1/segmentations/{answer['id']}")
    return seconds


def _accept(http: httpx.Client, url: str) -> float:
    """Milliseconds until a request is accepted; it is taken back at once."""
    began = time.perf_counter()
    answer = http.post("/v1/segmentations", json={"source": url})
    milliseconds = (time.perf_counter() - began) * 1e3
    http.delete(f"/v1/segmentations/{answer.json()['id']}")
    return milliseconds


def _announced(http: httpx.Client) -> str:
    return str(http.post("/v1/uploads", json={"filename": "scan.nii"}).json()["url"])


def _put(http: httpx.Client, url: str, body: bytes) -> float:
    began = time.perf_counter()
    http.put(url, content=body).raise_for_status()
    return time.perf_counter() - began


def _many(url: str, scan: Path, callers: int, scans: int) -> float:
    """Seconds until every caller has had all its scans done."""

    def call(_: int) -> int:
        with httpx.Client(base_url=url, timeout=600) as http:
            return sum(_seconds(http, scan) > 0 for _ in range(scans))

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        done = sum(pool.map(call, range(callers)))
    assert done == callers * scans
    return time.perf_counter() - began


@contextmanager
def _bare(folder: Path) -> Iterator[str]:
    """A server that writes a body to a file and does nothing else; the URL to put to."""

    async def put(request: Request) -> Response:
        with (folder / "bare").open("wb") as file:
            async for piece in request.stream():
                file.write(piece)
        return Response(status_code=204)

    [port] = free_ports(1)
    app = Starlette(routes=[Route("/put", put, methods=["PUT"])])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}/put"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
