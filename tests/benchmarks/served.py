"""A service to measure: an untrained, small network, so that what shows is what the service adds; and its callers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import torch
import yaml
from scan import Scan
from seaweed import free_ports
from service import Service, await_ready

from osteon.core.labels import BONES
from osteon.data.preprocess import ModelGrid
from osteon.inference.windows import StreamSpec
from osteon.models.build import build
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.bundle import save_bundle
from osteon.recipes.recipe import Recipe
from osteon.storage.export import write_scan
from osteon.storage.stores import open_store
from osteon.storage.writer import provenance_of, write_zarr

TABLE = BONES.subset(range(1, 25))
TIMEOUT_S = 600.0


def write_model(folder: Path) -> str:
    """Write the network; its URL."""
    recipe = Recipe(
        name="bench",
        grid=ModelGrid(spacing_mm=(2.0, 2.0, 2.0)),
        model=UNet3dSpec(channels=(16, 32, 64), num_auxiliary=0),
        inference=StreamSpec(window_shape=(64, 64, 64)),
    )
    torch.manual_seed(0)
    network = build(recipe.model, num_classes=len(TABLE) + 1)
    save_bundle(open_store(str(folder)), "", recipe, TABLE, network, {})
    return str(folder)


def write_file(path: Path, depth: int, side: int) -> Path:
    """Write a scan as NIfTI."""
    scan = Scan.make((depth, side, side))
    write_scan(path, scan.image, scan.grid, provenance_of(scan.image, None, scan.grid), table=None)
    return path


def write_case(folder: Path, depth: int) -> str:
    """Write a scan of 512 x 512 voxels in each plane as a stored case; its URL."""
    scan = Scan.make((depth, 512, 512))
    url = (folder / f"case-{depth}.zarr").as_uri()
    write_zarr(url, scan.image, None, scan.grid, TABLE)
    return url


@contextmanager
def serving(folder: Path, model: str, replicas: int = 1) -> Iterator[Service]:
    """`osteon serve` with so many segmenters, its store below ``folder``, where scans may be fetched from, too."""
    folder.mkdir(exist_ok=True)
    settings = {
        "models": {"bench": model},
        "store": str(folder / "store"),
        "segmenters": {"least": replicas, "most": replicas},
        "sources": {"allow": [folder.as_uri(), folder.parent.as_uri()]},
        "guard": {"limits": {"caller": {"requests_per_s": 1000, "burst": 10000, "uploads": 100}}},
    }
    config = folder / "serve.yaml"
    config.write_text(yaml.safe_dump(settings))
    [port] = free_ports(1)
    command = [sys.executable, "-m", "osteon.cli.main", "serve", "--config", str(config), "--port", str(port)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    service = Service(f"http://127.0.0.1:{port}", process)
    try:
        await_ready(service, folder / "serve.log")
        yield service
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(120)


def connected(service: Service) -> httpx.Client:
    """A caller."""
    return httpx.Client(base_url=service.url, timeout=TIMEOUT_S)


def seconds(http: httpx.Client, scan: Path) -> float:
    """From the request to the end of a scan that the service reads by its URL."""
    began = time.perf_counter()
    answer = http.post("/v1/segmentations", params={"wait": 60}, json={"source": scan.as_uri()}).json()
    while answer["state"] != "done":
        assert answer["problem"] is None, answer
        assert time.perf_counter() - began < TIMEOUT_S, answer
        time.sleep(0.05)
        answer = http.get(f"/v1/segmentations/{answer['id']}").json()
    passed = time.perf_counter() - began
    http.delete(f"/v1/segmentations/{answer['id']}")
    return passed


def seconds_of_many(service: Service, scan: Path, callers: int, scans: int) -> float:
    """Seconds until every caller has had all its scans done."""

    def call(_: int) -> int:
        with connected(service) as http:
            return sum(seconds(http, scan) > 0 for _ in range(scans))

    began = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        done = sum(pool.map(call, range(callers)))
    assert done == callers * scans
    return time.perf_counter() - began
