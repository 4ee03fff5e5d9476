"""A whole archive segmented: from a dataset and a model to a dataset of the same scans with the model's labels.

The driver reads two catalogs, cuts the work into pieces (`osteon.jobs.predict_plan`), has a pool of workers do them
(`osteon.jobs.predict_pool`), and keeps the catalog; no voxel comes near it. What is finished is what is committed, so
the same command goes on after any interruption.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from osteon.core.labels import LabelTable
from osteon.jobs.counters import count
from osteon.jobs.ingest_summary import CaseOutcome
from osteon.jobs.predict_archive import Archive, PredictRequest, sort_out
from osteon.jobs.predict_case import WORK, Taken
from osteon.jobs.predict_plan import Candidate, Unit, in_order, longest_unit
from osteon.jobs.predict_pool import Pool, Share
from osteon.jobs.predict_ranges import Cutter
from osteon.jobs.predict_summary import PredictOutcome, PredictSummary
from osteon.jobs.quarantine import Quarantine
from osteon.jobs.ray_session import ray_session
from osteon.jobs.waiting import await_room, bundle_of
from osteon.storage.catalog import CatalogRow, write_catalog
from osteon.storage.dataset import Dataset, merge_tables
from osteon.storage.patience import patience
from osteon.telemetry.metrics import CASES, COMPUTING_SECONDS, PREDICTED_VOXELS, WAITING_SECONDS
from osteon.telemetry.progress import Bar, progress_bar

CATALOG_EVERY_S = 300.0  # what a killed run had not catalogued is opened, case by case, by the next


def predict(request: PredictRequest, *, progress: bool = False) -> PredictSummary:
    """Segment every case that is not in the output yet; a bad one is quarantined and the others go on.

    Args:
        request: what is to be segmented.
        progress: draw a progress bar on standard error.

    Raises:
        BadInput, Conflict: as `Archive.open` and `Archive.candidates`.
        OsteonError: the run could not go on; running it again continues.
    """
    started = time.perf_counter()
    archive = Archive.open(request)
    committed = archive.committed()
    todo, told = sort_out(archive.candidates(), committed)
    dataset = archive.claim()
    tally = _Tally(dataset, committed, told)
    for case_id in committed.keys() & dataset.store.list_children(WORK):
        dataset.store.delete(f"{WORK}/{case_id}")  # a run was killed between a commit and its tidying up
    if todo:
        with patience(), ray_session(), tally.cataloguing():
            await_room([bundle_of(request.cpus or 1, request.gpus or 0)])
            share = Share.of(request.concurrency, request.cpus, request.gpus)
            units = _units(archive, todo, share.most, is_keeping=True)
            _follow(Pool(archive.job, share), units, tally, shown=progress)
    return tally.summary(archive, time.perf_counter() - started)


def preview(request: PredictRequest) -> PredictSummary:
    """What the request would do, as far as catalogs and zone maps tell; nothing is written or started.

    How scans are cut depends on the workers: without ``concurrency`` one is assumed.

    Raises:
        BadInput, Conflict: as `predict`.
    """
    archive = Archive.open(request)
    todo, told = sort_out(archive.candidates(), archive.committed())
    workers = request.concurrency[1] if request.concurrency else 1
    counts = Counter(unit.case.case_id for unit in _units(archive, todo, workers, is_keeping=False))
    planned = [PredictOutcome(case_id=case.case_id, status="planned", ranges=counts[case.case_id]) for case in todo]
    cases = tuple(sorted([*planned, *told], key=lambda outcome: outcome.case_id))
    return PredictSummary(dataset=archive.out.url, source=archive.source.url, model=archive.card.digest, cases=cases)


def _units(archive: Archive, todo: list[Candidate], workers: int, *, is_keeping: bool) -> list[Unit]:
    longest = longest_unit(todo, workers) if archive.request.z_split == "auto" else math.inf
    return in_order(Cutter(archive.card.recipe, archive.source, archive.out, is_keeping).units(todo, longest))


def _follow(pool: Pool, units: Sequence[Unit], tally: _Tally, *, shown: bool) -> None:
    """Have the work done; the bar counts windows, which is what takes time."""
    total = sum(unit.windows for unit in units)
    num_cases, began = len({unit.case for unit in units}), time.perf_counter()
    with progress_bar("predicting %", 100, shown=shown) as bar:
        for ended in pool.run(units):
            if ended is not None:
                tally.take(*ended)
            share = 100 * ended[0].windows / total if ended and total else 0.0
            hours = (time.perf_counter() - began) / 3600
            _show(bar, share, tally, num_cases, tally.count("predicted") / hours, pool.num_ready)


def _show(bar: Bar, share: float, tally: _Tally, num_cases: int, rate: float, workers: int) -> None:
    done, refused = tally.count("predicted"), tally.count("quarantined")
    told = f" · {refused} quarantined" if refused else ""
    doing = f"{workers} workers" if workers else "waiting for a worker"
    bar.advance(share, f"{done} of {num_cases} scans{told} · {rate:.1f}/h · {doing} · data wait {tally.wait_share:.1%}")


class _Tally:
    """What became of each case so far, and the catalog that follows from it.

    Args:
        dataset: the output.
        committed: its rows by case id.
        told: what is known of cases before the work begins.
    """

    def __init__(self, dataset: Dataset, committed: dict[str, CatalogRow], told: Sequence[PredictOutcome]) -> None:
        self._dataset, self._rows = dataset, dict(committed)
        self._outcomes = {outcome.case_id: outcome for outcome in told}
        self._quarantine = Quarantine(dataset.store)
        self._tables: set[LabelTable] = set()
        self._catalogued_at = time.monotonic()
        self._voxels, self._labelling, self._waiting = 0, 0.0, 0.0
        for outcome in told:
            self._judge(outcome)

    @property
    def wait_share(self) -> float:
        """Share of the labelling time that workers waited for data."""
        return self._waiting / self._labelling if self._labelling else 0.0

    def count(self, status: str) -> int:
        """How many cases ended so."""
        return sum(outcome.status == status for outcome in self._outcomes.values())

    def take(self, unit: Unit, taken: Taken) -> None:
        """Count what came of a piece of work."""
        self._voxels += taken.voxels
        self._labelling += taken.labelling_seconds
        self._waiting += taken.waiting_seconds
        count(PREDICTED_VOXELS, taken.voxels)
        count(COMPUTING_SECONDS, taken.labelling_seconds, "predict")
        count(WAITING_SECONDS, taken.waiting_seconds, "predict")
        case_id = unit.case.case_id
        if taken.error is not None:
            self._end(PredictOutcome.refused(case_id, taken.error))
        elif taken.row is not None and taken.table is not None:
            self._rows[case_id] = taken.row
            self._tables.add(taken.table)
            self._end(PredictOutcome(case_id=case_id, status="predicted", ranges=max(1, len(unit.ranges))))
        if time.monotonic() - self._catalogued_at > CATALOG_EVERY_S:
            self._write_catalog()

    @contextmanager
    def cataloguing(self) -> Iterator[None]:
        """The catalog is written at the end of the work, whatever ends it."""
        try:
            yield
        finally:
            self._write_catalog()

    def summary(self, archive: Archive, seconds: float) -> PredictSummary:
        """What is told of the run."""
        return PredictSummary(
            dataset=self._dataset.url,
            source=archive.source.url,
            model=archive.card.digest,
            cases=tuple(self._outcomes[case_id] for case_id in sorted(self._outcomes)),
            seconds=round(seconds, 3),
            voxels=self._voxels,
            labelling_seconds=round(self._labelling, 3),
            waiting_seconds=round(self._waiting, 3),
        )

    def _end(self, outcome: PredictOutcome) -> None:
        count(CASES, 1, "predict", outcome.status)
        self._judge(outcome)

    def _judge(self, outcome: PredictOutcome) -> None:
        """Keep an outcome; the quarantine holds what was refused and nothing else."""
        self._outcomes[outcome.case_id] = outcome
        if outcome.status != "quarantined":
            self._quarantine.drop(outcome.case_id)
            return
        fields = outcome.model_dump(include={"case_id", "code", "reason", "remedy"})
        self._quarantine.put(CaseOutcome(status="quarantined", **fields), "", ())

    def _write_catalog(self) -> None:
        write_catalog(self._dataset.store, list(self._rows.values()))
        merged = merge_tables([self._dataset.table, *self._tables], self._dataset.url)
        if merged != self._dataset.table:  # models of prepared scans give bones back to the side they are of
            self._dataset = Dataset.create(self._dataset.url, self._dataset.name, merged)
        self._catalogued_at = time.monotonic()
