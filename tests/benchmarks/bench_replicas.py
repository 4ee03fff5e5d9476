"""Two segmenters against one, each on a core of its own; and many scans while a segmenter is killed now and then."""

from __future__ import annotations

import os
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import httpx
import psutil
from harness import Row, compare, parser, report
from served import connected, seconds_of_many, serving, write_file, write_model
from service import Service, labelled_file, replicas

from osteon.serve.schemas import ENDED

CALLERS = 4  # at once, so that no replica is idle
ROUNDS = 3  # at most: each takes half a minute
LOOK_S = 0.25  # between looks at a scan
BOUND_S = 300.0  # for all scans while replicas are killed; what has not ended then is not right


def main() -> None:
    """Print the rows."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        bench = Bench.make(Path(name), small=options.small)
        rows = [bench.pinned_row(min(options.rounds, ROUNDS)), bench.killed_row()]
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
        return cls(folder, model, scan, 1, 24, 1.0) if small else cls(folder, model, scan, 4, 100, 10.0)

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
        with serving(self.folder / "killed", self.model, 2) as service, connected(service) as http:
            ids = [_accepted(http, self.scan) for _ in range(self.num_scans)]
            with _Killer(service, self.kill_s) as killer, ThreadPoolExecutor(CALLERS) as pool:
                until = time.monotonic() + BOUND_S

                def is_right(id_: str) -> bool:
                    labels = _result(http, id_, until)
                    killer.note_an_end()
                    return labels == expected

                right = sum(pool.map(is_right, ids))
            assert killer.killed, "they were done before the first kill"
        every_s = killer.seconds / len(killer.killed)
        name = f"{len(ids)} scans are accepted, one of two replicas is killed every {every_s:.0f} s"
        return Row(f"{name} ({len(killer.killed)} times)", "ended right", "scans", right, len(ids), 1.0, 1)


class _Killer(threading.Thread):
    """Kills the older segmenter every so often, if anything ended since: else, on a slow machine, nothing ever would.

    Attributes:
        killed: the processes that were.
        seconds: how long it was at work.
    """

    def __init__(self, service: Service, every_s: float) -> None:
        super().__init__()
        self._service, self._every_s = service, every_s
        self._ended, self._has_moved = threading.Event(), threading.Event()
        self.killed: list[int] = []
        self.seconds = 0.0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()

    def note_an_end(self) -> None:
        """A scan ended."""
        self._has_moved.set()

    def run(self) -> None:
        """Kill until the end."""
        began = time.monotonic()
        while not self._ended.wait(self._every_s):
            if self._has_moved.is_set() and (found := replicas(self._service, "Segmenter")):
                victim = min(found, key=psutil.Process.create_time)
                self._has_moved.clear()
                victim.kill()
                self.killed.append(victim.pid)
        self.seconds = time.monotonic() - began


def _pin(replica: psutil.Process, core: int) -> None:
    """Keep all threads that a process has, and those that they will start, on one core."""
    for thread in replica.threads():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(thread.id, {core})


def _accepted(http: httpx.Client, scan: Path) -> str:
    answer = http.post("/v1/segmentations", json={"source": scan.as_uri()})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _result(http: httpx.Client, id_: str, until: float) -> bytes:
    """The labels, when they are there; what came instead if it failed or is late."""
    while http.get(f"/v1/segmentations/{id_}").json()["state"] not in ENDED and time.monotonic() < until:
        time.sleep(LOOK_S)
    return http.get(f"/v1/segmentations/{id_}/result").content


if __name__ == "__main__":
    main()
