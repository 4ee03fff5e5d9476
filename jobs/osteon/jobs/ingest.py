"""From scans to a dataset, on any Dask scheduler: threads, worker processes, a cluster, or Ray.

Each case is driven by one thread (`osteon.jobs.ingest_lane`) that hands its graphs to the scheduler; there is one more
than there are workers, so that a case is checked while another is written. Nothing here sees a voxel.
"""

from __future__ import annotations

import logging
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote

import dask
import dask.threaded
from distributed import Client, LocalCluster, Worker, WorkerPlugin
from distributed.diskutils import WorkSpace

from osteon.core.errors import BadInput
from osteon.jobs.graph import Get
from osteon.jobs.ingest_lane import Lane
from osteon.jobs.ingest_plan import check_plan, keep_splits
from osteon.jobs.ingest_summary import CaseOutcome, IngestSummary
from osteon.jobs.quarantine import Quarantine
from osteon.storage.dataset import Dataset
from osteon.storage.importers import ImportPlan
from osteon.storage.patience import patience
from osteon.storage.stores import open_store
from osteon.telemetry.metrics import Count, uncounted
from osteon.telemetry.progress import progress_bar

CONNECT_TIMEOUT_S = 20
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Scheduler:
    """Something that computes Dask graphs.

    Attributes:
        get: from a graph and one of its keys to the key's value; may be called from many threads.
        num_workers: tasks it runs at once.
        stop: drops what is queued and makes waiting calls of ``get`` fail.
        count: tells Prometheus of what was done, where it can be asked.
    """

    get: Get
    num_workers: int
    stop: Callable[[], object]
    count: Count = uncounted


def ingest(
    plan: ImportPlan,
    dataset_url: str,
    *,
    scheduler: str = "local",
    num_workers: int | None = None,
    allow_gaps: bool = False,
    replace: bool = False,
    shown: bool = False,
) -> IngestSummary:
    """Write every case of a plan to a dataset; what cannot be written is quarantined and the others go on.

    Args:
        plan: what was found.
        dataset_url: folder or ``s3://bucket/prefix``; made if there is none.
        scheduler: ``local``, ``threads``, ``ray`` or the address of a Dask scheduler.
        num_workers: tasks at once; None for one per core.
        allow_gaps: resample what lies on no even grid, and labels on another grid, instead of refusing it.
        replace: write over committed cases that are damaged or whose source has changed.
        shown: draw a progress bar on standard error.

    Raises:
        BadInput: two sources have one id, or the scheduler or the URL cannot be used.
        OsteonError: the run could not go on; running it again continues.
    """
    check_plan(plan)
    started = time.perf_counter()
    opening = open_scheduler(scheduler, num_workers)
    name = unquote(open_store(dataset_url).url).rpartition("/")[2]
    dataset = Dataset.create(dataset_url, name, plan.table)
    with _scratch() as scratch, patience(), opening as opened:
        lane = Lane(
            opened.get,
            dataset,
            # A case to be replaced may be damaged: then it is not skipped, whatever it says of itself.
            {} if replace else {row.case_id: (row.source_digest, row.labels_digest) for row in dataset.catalog()},
            Quarantine(dataset.store),
            scratch,
            allow_gaps,
            replace,
            count=opened.count,
        )
        outcomes = run_lanes(
            lane.take, plan.cases, opened, lane.stopping, "Ingesting", bytes_of=_num_bytes, shown=shown
        )
        dataset.refresh()
        keep_splits(dataset.store, plan)
    return IngestSummary(
        dataset=dataset.url,
        layout=plan.layout,
        cases=tuple(outcomes),
        notes=plan.notes,
        num_bytes=sum(outcome.num_bytes for outcome in outcomes),
        seconds=round(time.perf_counter() - started, 3),
    )


def _num_bytes(outcome: CaseOutcome) -> int:
    return outcome.num_bytes


def run_lanes(
    take: Callable[[Item], Outcome],
    items: Sequence[Item],
    scheduler: Scheduler,
    stopping: threading.Event,
    title: str,
    *,
    bytes_of: Callable[[Outcome], int],
    shown: bool,
) -> list[Outcome]:
    """The outcome of every item, in their order; one lane more than workers, so that none waits for a source.

    Args:
        take: brings one item to its end; called from the lanes' threads.
        items: what there is to do.
        scheduler: computes what the lanes ask for.
        stopping: set when the run is being stopped.
        title: of the progress bar.
        bytes_of: the bytes that an outcome stands for.
        shown: draw the bar on standard error.
    """
    started = time.perf_counter()
    done_bytes = 0
    with (
        progress_bar(title, len(items), shown=shown) as bar,
        ThreadPoolExecutor(scheduler.num_workers + 1, thread_name_prefix="lane") as lanes,
    ):
        running = [lanes.submit(take, item) for item in items]
        try:
            for finished in as_completed(running):
                done_bytes += bytes_of(finished.result())
                bar.advance(note=f"{done_bytes / 1e6 / (time.perf_counter() - started):.0f} MB/s")
        except BaseException:  # an interrupt, or a run that cannot go on: nothing queued may start
            stopping.set()
            lanes.shutdown(wait=False, cancel_futures=True)
            scheduler.stop()
            raise
        return [each.result() for each in running]


def open_scheduler(name: str, num_workers: int | None = None) -> AbstractContextManager[Scheduler]:
    """The scheduler ``threads``, ``local``, ``ray``, or the cluster at an address such as ``tcp://host:8786``.

    Raises:
        BadInput: ``bad-scheduler`` for another name, or a cluster that does not answer.
    """
    if "://" in name:
        return _cluster(name)
    kinds = {"threads": _threads, "local": _local_cluster, "ray": _ray}
    if name not in kinds:
        raise BadInput("bad-scheduler", f"{name!r} is no scheduler", remedy="give threads, local, ray or an address")
    return kinds[name](num_workers or len(os.sched_getaffinity(0)))


@contextmanager
def _threads(num_workers: int) -> Iterator[Scheduler]:
    with ThreadPoolExecutor(num_workers, thread_name_prefix="ingest") as pool:
        stop = partial(pool.shutdown, wait=False, cancel_futures=True)
        yield Scheduler(partial(dask.threaded.get, pool=pool), num_workers, stop)


@contextmanager
def _local_cluster(num_workers: int) -> Iterator[Scheduler]:
    cluster = LocalCluster(
        n_workers=num_workers,
        threads_per_worker=1,
        dashboard_address=None,
        # Without a dashboard, too, the scheduler serves HTTP; two runs on one machine must not want the same port.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        silence_logs=logging.CRITICAL,
    )
    with cluster, Client(cluster) as client:
        client.register_plugin(_IgnoreInterrupt())
        yield Scheduler(client.get, num_workers, client.close)


class _IgnoreInterrupt(WorkerPlugin):
    """Ctrl-C reaches the whole process group; the driver alone decides what it means."""

    def setup(self, worker: Worker) -> None:
        del worker
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _cluster(address: str) -> Iterator[Scheduler]:
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise BadInput(
            "bad-scheduler", f"no Dask scheduler answers at {address}", remedy="check the address and the network"
        ) from error
    with client:
        yield Scheduler(client.get, max(1, sum(client.nthreads().values())), client.close)


@contextmanager
def _ray(num_workers: int) -> Iterator[Scheduler]:
    import ray  # seconds to import, and only this scheduler needs it

    from osteon.jobs.counters import count
    from osteon.jobs.ray_graphs import RayGraphs
    from osteon.jobs.ray_session import ray_session
    from osteon.jobs.waiting import await_room, bundle_of

    with ray_session(num_workers):
        await_room([bundle_of(1, 0)])
        graphs = RayGraphs()
        yield Scheduler(graphs.get, max(1, int(ray.cluster_resources().get("CPU", 1))), graphs.stop, count)


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder of this run; folders of killed runs are removed on the way, they may hold decoded scans."""
    folder = WorkSpace(str(Path(tempfile.gettempdir()) / f"osteon-ingest-{os.getuid()}")).new_work_dir(prefix="run-")
    try:
        yield Path(folder.dir_path)
    finally:
        folder.release()
