"""The service against the same work without it: a served scan, an accepted request, an upload, many callers at once."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import psutil
from harness import Row, compare, parser, report
from peer_upload import bare_uvicorn
from seaweed import free_ports
from served import connected, seconds, seconds_of_many, serving, write_case, write_file, write_model
from service import Service, proxies, replicas

from osteon.recipes.apply import read_scan, segment_scan
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.storage.writer import write_zarr

CALLERS, SCANS_EACH = 8, 2
ASKED = 20  # requests for a latency
MB = 1_000_000
LOOK_S = 0.02  # between looks at how large a process is


def main() -> None:
    """Print the rows."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        bench = Bench.make(Path(name), small=options.small)
        with serving(bench.folder, bench.model) as service, connected(service) as http:
            rows = [
                bench.scan_row(http, options.rounds),
                *bench.request_rows(http),
                bench.upload_row(http, options.rounds),
                *bench.memory_rows(service, http),
                bench.callers_row(service, options.rounds),
            ]
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
        large_mb: size of an upload that must not be held in memory.
    """

    folder: Path
    model: str
    scan: Path
    small_scan: Path
    sizes: dict[int, str]
    body: bytes
    large_mb: int

    @classmethod
    def make(cls, folder: Path, *, small: bool) -> Bench:
        """Write a model and scans."""
        sizes = {
            depth * 512 * 512 * 2 // MB: write_case(folder, depth) for depth in ((40, 80) if small else (100, 1000))
        }
        scan = write_file(folder / "scan.nii.gz", 60 if small else 240, 128 if small else 256)
        small_scan = write_file(folder / "small.nii.gz", 48, 64)
        body, large_mb = os.urandom((20 if small else 200) * MB), 100 if small else 500
        return cls(folder, write_model(folder / "model"), scan, small_scan, sizes, body, large_mb)

    def scan_row(self, http: httpx.Client, rounds: int) -> Row:
        """A served scan against the same work in one process."""
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

        return compare(
            "one scan by URL, until it is done",
            "read, segment, write in one process",
            peer=offline,
            ours=lambda: seconds(http, self.scan),
            unit="s",
            rounds=rounds,
            aim=0.95,
        )

    def request_rows(self, http: httpx.Client) -> Iterator[Row]:
        """Requests by URL, which do not take longer for a larger scan."""
        for megabytes, url in self.sizes.items():
            median = statistics.median(_accept(http, url) for _ in range(ASKED))
            yield Row(f"a request by URL is accepted, {megabytes} MB", "limit", "ms", 50.0, median, 1.0, ASKED)

    def upload_row(self, http: httpx.Client, rounds: int) -> Row:
        """An upload against a server that does nothing else."""
        with bare_uvicorn(self.folder / "bare", free_ports(1)[0]) as bare:
            return compare(
                f"an upload of {len(self.body) // MB} MB",
                "bare uvicorn",
                peer=lambda: _put(http, bare, self.body),
                ours=lambda: _put(http, _announced(http), self.body),
                unit="s",
                rounds=rounds,
                aim=0.8,
            )

    def memory_rows(self, service: Service, http: httpx.Client) -> Iterator[Row]:
        """How much of an upload the processes hold that it goes through: Ray Serve's proxy, and the Api."""
        piece = os.urandom(MB)
        _put(http, _announced(http), piece)  # what the first one brings into memory stays
        [proxy], [api] = proxies(service), replicas(service, "Api")

        def upload() -> None:
            _put(http, _announced(http), (piece for _ in range(self.large_mb)))

        for name, growth in _growth({"Ray Serve's proxy": proxy, "the Api": api}, upload).items():
            what = f"growth of {name} while {self.large_mb} MB are uploaded"
            yield Row(what, "the body", "MB", self.large_mb, max(growth / MB, 1.0), None, 1)

    def callers_row(self, service: Service, rounds: int) -> Row:
        """Many callers at once against one after the other."""
        return compare(
            f"{CALLERS * SCANS_EACH} scans by {CALLERS} callers at once",
            "one caller, one after the other",
            peer=lambda: seconds_of_many(service, self.small_scan, 1, CALLERS * SCANS_EACH),
            ours=lambda: seconds_of_many(service, self.small_scan, CALLERS, SCANS_EACH),
            unit="s",
            rounds=rounds,
            aim=0.95,
        )


def _growth(processes: Mapping[str, psutil.Process], work: Callable[[], object]) -> dict[str, float]:
    """Bytes of memory of their own beyond those at the beginning, at most, while some work is done."""
    first = {name: _own_bytes(process) for name, process in processes.items()}
    most = dict(first)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while not running.done():
            most = {name: max(most[name], _own_bytes(process)) for name, process in processes.items()}
            time.sleep(LOOK_S)
        running.result()
    return {name: float(most[name] - first[name]) for name in processes}


def _own_bytes(process: psutil.Process) -> int:
    """Without what is shared: pages of Ray's object store count for every process that has looked at them."""
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


def _accept(http: httpx.Client, url: str) -> float:
    """Milliseconds until a request is accepted; it is taken back at once."""
    began = time.perf_counter()
    answer = http.post("/v1/segmentations", json={"source": url})
    milliseconds = (time.perf_counter() - began) * 1e3
    http.delete(f"/v1/segmentations/{answer.json()['id']}")
    return milliseconds


def _announced(http: httpx.Client) -> str:
    return str(http.post("/v1/uploads", json={"filename": "scan.nii"}).json()["url"])


def _put(http: httpx.Client, url: str, body: bytes | Iterator[bytes]) -> float:
    began = time.perf_counter()
    http.put(url, content=body).raise_for_status()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
