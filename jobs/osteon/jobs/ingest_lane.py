"""One case from source to commit, as its driver sees it: which graphs are computed, and what came of the case.

Knows no scheduler: it is given something that computes a graph.
"""

from __future__ import annotations

import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from osteon.core.errors import Conflict, OsteonError
from osteon.jobs.graph import Get, RunEnded, compute_case, compute_task
from osteon.jobs.ingest_case import (
    AlreadyThere,
    CaseJob,
    Committed,
    Identity,
    OpenCase,
    commit_case,
    hashed_id,
    identify,
    open_case,
    write_row,
)
from osteon.jobs.ingest_plan import set_aside
from osteon.jobs.ingest_summary import CaseOutcome
from osteon.jobs.quarantine import Quarantine
from osteon.storage.claims import release_claim
from osteon.storage.dataset import Dataset
from osteon.storage.importers import CaseSource
from osteon.storage.readers import Rejected
from osteon.telemetry.metrics import CASES, READ_BYTES, Count, uncounted


@dataclass(frozen=True)
class Lane:
    """Takes the cases of one run to their end; may be called from many threads.

    Attributes:
        get: from a graph and one of its keys to the key's value.
        dataset: where the cases go.
        committed: (source digest, labels digest) by id of the cases that are skipped unopened.
        quarantine: where refusals are kept.
        scratch: the run's folder for decoded copies; it exists.
        allow_gaps: resample series with missing slices instead of refusing them.
        replace: write over committed cases whose source has changed.
        stopping: set when the run is being stopped.
        count: tells of each case that is over.
    """

    get: Get
    dataset: Dataset
    committed: dict[str, tuple[str, str]]
    quarantine: Quarantine
    scratch: Path
    allow_gaps: bool = False
    replace: bool = False
    stopping: threading.Event = field(default_factory=threading.Event)
    count: Count = uncounted

    def take(self, found: CaseSource | Rejected) -> CaseOutcome:
        """Ingest one case, or say why not.

        Raises:
            RunEnded: the scheduler is gone or the run is being stopped.
            StoreError: the store refuses even the quarantine.
        """
        started = time.perf_counter()
        outcome = self._set_aside(found) if isinstance(found, Rejected) else self._ingest(found)
        self.count(CASES, 1, "ingest", outcome.status)
        self.count(READ_BYTES, outcome.num_bytes, "ingest")
        return outcome.model_copy(update={"seconds": round(time.perf_counter() - started, 3)})

    def _set_aside(self, found: Rejected) -> CaseOutcome:
        outcome = set_aside(found, _id_of_path(found.where))
        if outcome.status == "quarantined":
            self.quarantine.put(outcome, "", (found.where,))
        return outcome

    def _ingest(self, found: CaseSource) -> CaseOutcome:
        scratch = self.scratch / uuid.uuid4().hex
        job = CaseJob(found, self.dataset.store, self.dataset.table, scratch, self.allow_gaps, self.replace)
        try:
            done = self._skip(job) if self.committed else None
            return done or self._write(job)
        except RunEnded:
            raise
        except OsteonError as error:
            return self._quarantine(job, error)
        finally:
            shutil.rmtree(job.scratch, ignore_errors=True)

    def _skip(self, job: CaseJob) -> CaseOutcome | None:
        """The outcome of a case that is there already; found before anything is decoded."""
        identity = self._compute(identify, job)
        assert isinstance(identity, Identity)
        if self.committed.get(identity.case_id) != (identity.source_digest, identity.labels_digest):
            return None
        return self._already_there(identity.case_id, job)

    def _write(self, job: CaseJob) -> CaseOutcome:
        case = self._compute(open_case, job)
        if isinstance(case, AlreadyThere):
            return self._already_there(case.case_id, job)
        assert isinstance(case, OpenCase)
        try:
            done = self._compute_rows(case)
        except (RunEnded, Conflict):
            raise
        except OsteonError:
            release_claim(job.dataset, case.writer.prefix)  # or a mended source could not take the id
            raise
        if isinstance(done, AlreadyThere):
            return self._already_there(done.case_id, job)
        self.quarantine.drop(done.case_id)
        scan, labels = case.volumes.scan, case.volumes.labels
        return CaseOutcome(
            case_id=done.case_id,
            status="ingested",
            source=job.source.scan.files[0],
            labels=tuple(job.table.names[label] for label in labels.ids) if labels else (),
            num_bytes=scan.num_bytes,
        )

    def _compute_rows(self, case: OpenCase) -> Committed | AlreadyThere:
        done = compute_case(self.get, case, case.writer.num_rows, write_row, commit_case, self.stopping)
        assert isinstance(done, Committed | AlreadyThere)
        return done

    def _compute(self, task: Callable[[CaseJob], object], job: CaseJob) -> object:
        return compute_task(self.get, task, job, self.stopping)

    def _identity_of_refused(self, job: CaseJob) -> Identity:
        try:
            identity = self._compute(identify, job)
        except OsteonError:
            return Identity(job.source.case_id or _id_of_path(job.source.scan.files[0]), "", "")
        assert isinstance(identity, Identity)
        return identity

    def _quarantine(self, job: CaseJob, error: OsteonError) -> CaseOutcome:
        identity, paths = self._identity_of_refused(job), _paths(job.source)
        outcome = CaseOutcome.refused("quarantined", identity.case_id, error.where or paths[0], error)
        self.quarantine.put(outcome, identity.source_digest, paths)
        return outcome

    def _already_there(self, case_id: str, job: CaseJob) -> CaseOutcome:
        self.quarantine.drop(case_id)
        return CaseOutcome(
            case_id=case_id,
            status="skipped",
            source=job.source.scan.files[0],
            code="already-committed",
            reason="the dataset holds this case already, from the same source",
        )


def _id_of_path(path: str) -> str:
    """An id for what has no readable bytes to name it by."""
    return f"unread-{hashed_id(path)}"


def _paths(source: CaseSource) -> tuple[str, ...]:
    return (*source.scan.files, *(source.labels.files if source.labels else ()))
