"""From a dataset to one derived from it, by a recipe's section ``prepare``, on any Dask scheduler.

Each source case is driven by one thread (`osteon.jobs.prepare_lane`) that hands its graphs to the scheduler, as in
`osteon.jobs.ingest`. Nothing here sees a voxel.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from osteon.core.errors import BadInput, OsteonError
from osteon.data.prepare import PrepareSpec, prepared_table
from osteon.jobs.ingest import open_scheduler, run_lanes
from osteon.jobs.ingest_plan import SPLITS_KEY
from osteon.jobs.prepare_case import PrepareJob, plan_case
from osteon.jobs.prepare_lane import Outcomes, PrepareLane, outcome_of, refused
from osteon.jobs.prepare_summary import PrepareOutcome, PrepareSummary
from osteon.jobs.quarantine import Quarantine
from osteon.storage.dataset import Dataset
from osteon.storage.patience import patience
from osteon.storage.stores import Store, open_store
from osteon.telemetry.progress import progress_bar


@dataclass(frozen=True)
class PrepareRequest:
    """What is to be derived from what.

    Attributes:
        source: URL of the dataset to read.
        dataset: URL of the dataset to write: made if there is none.
        spec: what is done to every case.
        cases: ids of the source cases; None for all.
        labels_from: URL of a dataset, or a folder of ``<case id>.zarr``, whose labels show where bones are; None where
            the cases' own do.
        replace: write over cases that are damaged or were prepared otherwise.
    """

    source: str
    dataset: str
    spec: PrepareSpec
    cases: tuple[str, ...] | None = None
    labels_from: str | None = None
    replace: bool = False


def prepare(
    request: PrepareRequest, *, scheduler: str = "local", num_workers: int | None = None, shown: bool = False
) -> PrepareSummary:
    """Write every derived case; what cannot be derived is quarantined and the others go on.

    Args:
        request: what is to be derived.
        scheduler: as `osteon.jobs.ingest.ingest`.
        num_workers: tasks at once; None for one per core.
        shown: draw a progress bar on standard error.

    Raises:
        BadInput: ``nothing-to-prepare``, ``same-dataset``, ``unknown-case``, or the scheduler or a URL cannot be used.
        OsteonError: the run could not go on; running it again continues.
    """
    started = time.perf_counter()
    source = Dataset.open(request.source)
    case_ids = _checked(request, source)
    opening = open_scheduler(scheduler, num_workers)
    name = unquote(open_store(request.dataset).url).rpartition("/")[2]
    dataset = Dataset.create(request.dataset, name, prepared_table(source.table, request.spec))
    with patience(), opening as opened:
        rows = () if request.replace else dataset.catalog()
        committed = {row.case_id: (row.source_digest, row.labels_digest) for row in rows}
        lane = PrepareLane(opened.get, committed, Quarantine(dataset.store), count=opened.count)
        jobs = [_job(request, source, dataset, case_id) for case_id in case_ids]
        done = run_lanes(lane.take, jobs, opened, lane.stopping, "Preparing", bytes_of=_num_bytes, shown=shown)
        dataset.refresh()
        _keep_splits(source.store, dataset)
    outcomes = tuple(outcome for outcomes in done for outcome in outcomes)
    seconds = round(time.perf_counter() - started, 3)
    return PrepareSummary(dataset=dataset.url, source=source.url, cases=outcomes, seconds=seconds)


def preview(request: PrepareRequest, *, shown: bool = False) -> PrepareSummary:
    """What a preparation would derive, found as it would be found; nothing is written.

    Raises:
        BadInput: as `prepare`.
    """
    source = Dataset.open(request.source)
    case_ids = _checked(request, source)
    imagined = Dataset(open_store(request.dataset), "", prepared_table(source.table, request.spec))
    outcomes: list[PrepareOutcome] = []
    with progress_bar("Looking", len(case_ids), shown=shown) as bar:
        for case_id in case_ids:
            outcomes.extend(_planned(_job(request, source, imagined, case_id)))
            bar.advance()
    return PrepareSummary(dataset=imagined.url, source=source.url, cases=tuple(outcomes))


def _planned(job: PrepareJob) -> Outcomes:
    cases = plan_case(job)
    if isinstance(cases, OsteonError):
        return (refused(job.case_id, job, cases),)
    return tuple(outcome_of(case, "planned") for case in cases)


def _checked(request: PrepareRequest, source: Dataset) -> Sequence[str]:
    """The source cases, before anything is written."""
    if not request.spec.is_active:
        remedy = "set prepare.spacing_mm, prepare.femurs or another of its values"
        raise BadInput("nothing-to-prepare", "the recipe's section prepare asks for nothing", remedy=remedy)
    if open_store(request.dataset).url == source.url:
        what = "a dataset cannot be derived from itself"
        raise BadInput("same-dataset", what, where=source.url, remedy="write to another URL")
    known = source.case_ids()
    unknown = sorted(set(request.cases or ()) - set(known))
    if unknown:
        what = f"{', '.join(unknown[:5])} are not among the {len(known)} cases"
        raise BadInput("unknown-case", what, where=source.url, remedy="list them with `osteon cases`")
    return known if request.cases is None else sorted(set(request.cases))


def _job(request: PrepareRequest, source: Dataset, dataset: Dataset, case_id: str) -> PrepareJob:
    guide = None if request.labels_from is None else open_store(request.labels_from)
    return PrepareJob(case_id, source.store, guide, dataset.store, dataset.table, request.spec, request.replace)


def _num_bytes(outcomes: Outcomes) -> int:
    return sum(outcome.num_bytes for outcome in outcomes)


def _keep_splits(source: Store, dataset: Dataset) -> None:
    """Carry the source's folds over; all that was derived from one case stays in one part: it is one patient."""
    try:
        folds = json.loads(source.read_bytes(SPLITS_KEY))
    except FileNotFoundError:
        return
    derived = defaultdict(list)
    for case_id in dataset.case_ids():
        derivation = dataset.case(case_id).provenance.derivation
        if derivation is not None:
            derived[derivation.case_id].append(case_id)
    kept = [{part: [new for old in fold[part] for new in derived[old]] for part in ("train", "val")} for fold in folds]
    dataset.store.write_bytes(SPLITS_KEY, json.dumps(kept, indent=1).encode())
