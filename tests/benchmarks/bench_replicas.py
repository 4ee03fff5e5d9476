"""Two segmenters against one, each on a core of its own; and many scans while a segmenter is killed now and then."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from harness import Row, compare, parser, report
from served import connected, seconds_of_many, serving, write_file, write_model
from service import Service, labelled_file, replicas

CALLERS = 4  # at once, so that no replica is idle


def main() -> None:
    """Print the rows."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        bench = Bench.make(Path(name), small=options.small)
        rows = [bench.pinned_row(options.rounds), bench.killed_row()]
    report(rows, as_json=options.json)


@dataclass(frozen=True)
class Bench:
    """What is served.

    Attributes:
        folder: scratch.
        model: URL.
        scan: seconds of work.
        scans_each: of every caller, where replicas are compared.
        num_scans: while replicas are killed.
        kill_s: between two kills.
    """

    folder: Path
    model: str
    scan: Path
    scans_each: int
    num_scans: int
    kill_s: float

    @classmethod
    def make(cls, folder: Path, *, small: bool) -> Bench:
        """Write a model and a scan."""
        scan = write_file(folder / "scan.nii.gz", 64 if small else 160, 96 if small else 192)
        model = write_model(folder / "model")
        return cls(folder, model, scan, 1, 8, 5.0) if small else cls(folder, model, scan, 4, 100, 10.0)

    def pinned_row(self, rounds: int) -> Row:
        """The same scans by two replicas and by one."""
        with serving(self.folder / "one", self.model) as one, serving(self.folder / "two", self.model, 2) as two:
            for service in (one, two):
                seconds_of_many(service, self.scan, CALLERS, 1)  # every replica has loaded the model
                for core, replica in zip(sorted(os.sched_getaffinity(0)), replicas(service, "Segmenter"), strict=False):
                    _pin(replica, core)
            return compare(
                f"{CALLERS * self.scans_each} scans by two replicas, pinned to a core each",
                "one replica, pinned to a core",
                peer=lambda: seconds_of_many(one, self.scan, CALLERS, self.scans_each),
                ours=lambda: seconds_of_many(two, self.scan, CALLERS, self.scans_each),
                unit="s",
                rounds=rounds,
                aim=1.7,
            )

    def killed_row(self) -> Row:
        """Scans that were accepted, and how many of them ended with the right labels."""
        expected = labelled_file(self.model, self.scan, self.folder / "expected.nii.gz")
        with serving(self.folder / "killed", self.model) as service, connected(service) as http:
            with _killing(service, self.kill_s) as kills, ThreadPoolExecutor(CALLERS) as pool:
                ids = list(pool.map(lambda _: _accepted(http, self.scan), range(self.num_scans)))
                right = sum(pool.map(lambda id_: _result(http, id_) == expected, ids))
            assert kills, "they were done before the first kill"
        name = f"{len(ids)} scans are accepted, a replica is killed every {self.kill_s:g} s ({len(kills)} times)"
        return Row(name, "ended right", "scans", right, len(ids), 1.0, 1)


def _pin(replica: psutil.Process, core: int) -> None:
    """Keep all threads that a process has, and those that they will start, on one core."""
    for thread in replica.threads():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, {core})


@contextmanager
def _killing(service: Service, every_s: float) -> Iterator[list[int]]:
    """Kill a segmenter every so often; the processes that were."""
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(every_s):
            for replica in replicas(service, "Segmenter")[:1]:
                replica.kill()
                killed.append(replica.pid)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        ended.set()
        killer.join()


def _accepted(http: httpx.Client, scan: Path) -> str:
    answer = http.post("/v1/segmentations", json={"source": scan.as_uri()})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _result(http: httpx.Client, id_: str) -> bytes:
    """The labels, when they are there; what came instead if it failed."""
    with http.stream("GET", f"/v1/segmentations/{id_}/events") as events:
        for _ in events.iter_lines():
            pass  # it ends with the segmentation
    return http.get(f"/v1/segmentations/{id_}/result").content


if __name__ == "__main__":
    main()
