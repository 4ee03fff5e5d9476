"""A training step under Ray Train against the same loop in a plain process, and the share of it spent waiting for data.

Both read the same dataset from disk, with the same recipe and threads; the time is that between log lines, so starting
Ray, saving checkpoints and the first steps do not count.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from harness import Row, compare, parser, report
from scan import Scan

from osteon.core.labels import BONES
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.train import TrainRequest, preview, train
from osteon.jobs.train_worker import WorkerTask, work
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case
from osteon.training.team import Team

WARM_LINES = 2  # of the log that do not count
LOG_EVERY = 5


def main() -> None:
    """Print the rows."""
    options = parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as scratch:
        shape = (64, 96, 96) if options.small else (160, 256, 256)
        steps = 20 if options.small else 40
        bench = Bench(Path(scratch), write_dataset(Path(scratch) / "data", Scan.make(shape)), steps)
        report(bench.rows(options.rounds), as_json=options.json)


def write_dataset(path: Path, scan: Scan) -> str:
    """The scan as a dataset's only case; its URL."""
    table = BONES.subset(range(1, int(scan.labels.max()) + 1))
    dataset = Dataset.create(str(path), "bench", table)
    write_case(dataset, "scan", scan.image, scan.labels, scan.grid)
    return dataset.url


@dataclass
class Bench:
    """Runs on one dataset.

    Attributes:
        scratch: where runs are put.
        dataset: URL.
        steps: of each run.
        waits: share of step time spent waiting for data, of the runs under Ray.
    """

    scratch: Path
    dataset: str
    steps: int
    waits: list[float] = field(default_factory=list)

    def rows(self, rounds: int) -> list[Row]:
        """Both aims."""
        step = compare(
            "training step, 24 bones, batch 2 x 64³",
            "the same loop without Ray",
            peer=self._plain,
            ours=self._under_ray,
            unit="ms",
            rounds=rounds,
            aim=0.98,
        )
        wait = 100 * statistics.median(self.waits[1:])
        return [step, Row("share of a step waiting for data", "limit", "%", 2.0, wait, 1.0, rounds)]

    def _plain(self) -> float:
        request = self._request()
        folder = RunFolder(open_store(request.out))
        folder.claim(preview(request).record)
        _in_a_process(_work_alone, WorkerTask(run=folder.store.url, dataset=self.dataset))
        return _ms_per_step(folder)

    def _under_ray(self) -> float:
        request = self._request()
        self.waits.append(train(request).wait_share)
        return _ms_per_step(RunFolder(open_store(request.out)))

    def _request(self) -> TrainRequest:
        values = (
            f"training.steps={self.steps}",
            f"training.log_every={LOG_EVERY}",
            "training.checkpoint_every=100000",
            "training.validate_every=100000",
        )
        out = tempfile.mkdtemp(dir=self.scratch)
        return TrainRequest("unet3d-3mm", self.dataset, out, (*values, "grid.spacing_mm=null"))


def _in_a_process(target: Callable[[WorkerTask], None], task: WorkerTask) -> None:
    process = multiprocessing.get_context("spawn").Process(target=target, args=(task,))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"the plain loop ended with {process.exitcode}")


def _work_alone(task: WorkerTask) -> None:
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    work(task, Team(), torch.device("cpu"))


def _ms_per_step(folder: RunFolder) -> float:
    lines = [line for line in folder.metrics() if line["kind"] == "train"][WARM_LINES:]
    batch_size = folder.record().recipe.training.batch_size
    rates: list[float] = [line["patches_per_s"] for line in lines]
    return 1000 * batch_size / statistics.median(rates)


if __name__ == "__main__":
    main()
