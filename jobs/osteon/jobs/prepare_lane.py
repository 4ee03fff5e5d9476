"""One source case from plan to commit, as its driver sees it.

Knows no scheduler: it is given something that computes a graph.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from osteon.core.errors import Conflict, OsteonError
from osteon.jobs.graph import Get, RunEnded, compute_case, compute_task
from osteon.jobs.ingest_case import AlreadyThere, Committed
from osteon.jobs.ingest_summary import CaseOutcome
from osteon.jobs.prepare_case import (
    DerivedCase,
    Identity,
    PrepareJob,
    claim_case,
    commit_case,
    identify,
    plan_case,
    write_row,
)
from osteon.jobs.prepare_summary import PrepareOutcome
from osteon.jobs.quarantine import Quarantine
from osteon.storage.claims import release_claim
from osteon.telemetry.metrics import CASES, Count, uncounted

Outcomes = tuple[PrepareOutcome, ...]


@dataclass(frozen=True)
class PrepareLane:
    """Takes the source cases of one run to their end; may be called from many threads.

    Attributes:
        get: from a graph and one of its keys to the key's value.
        committed: (source digest, labels digest) by id of the derived cases that are there already.
        quarantine: where refusals are kept.
        stopping: set when the run is being stopped.
        count: tells of each case that is over.
    """

    get: Get
    committed: dict[str, tuple[str, str]]
    quarantine: Quarantine
    stopping: threading.Event = field(default_factory=threading.Event)
    count: Count = uncounted

    def take(self, job: PrepareJob) -> Outcomes:
        """Prepare one source case, or say why not.

        Raises:
            RunEnded: the scheduler is gone or the run is being stopped.
            StoreError: the store refuses even the quarantine.
        """
        started = time.perf_counter()
        outcomes = self._prepare(job)
        for outcome in outcomes:
            self.count(CASES, 1, "prepare", outcome.status)
        seconds = round(time.perf_counter() - started, 3)
        return tuple(outcome.model_copy(update={"seconds": seconds}) for outcome in outcomes)

    def _prepare(self, job: PrepareJob) -> Outcomes:
        try:
            there = self._there(job) if self.committed else ()
            if there:
                return there
            cases = compute_task(self.get, plan_case, job, self.stopping)
        except RunEnded:
            raise
        except OsteonError as error:
            return (self._refused(job.case_id, job, error),)
        assert isinstance(cases, tuple)
        self.quarantine.drop(job.case_id)
        return tuple(self._derive(case) for case in cases)

    def _there(self, job: PrepareJob) -> Outcomes:
        """The outcomes of a case all of whose derived cases are there; found before any voxel is read."""
        identity = compute_task(self.get, identify, job, self.stopping)
        assert isinstance(identity, Identity)
        wanted = (identity.source_digest, identity.labels_digest)
        suffixes = ("-left", "-right") if job.spec.femurs else ("",)
        ids = [f"{job.case_id}{suffix}" for suffix in suffixes]
        if any(self.committed.get(case_id) != wanted for case_id in ids):
            return ()
        return tuple(self._skipped(case_id, job) for case_id in ids)

    def _derive(self, case: DerivedCase) -> PrepareOutcome:
        try:
            return self._write(case)
        except RunEnded:
            raise
        except OsteonError as error:
            return self._refused(case.writer.case_id, case.job, error)

    def _write(self, case: DerivedCase) -> PrepareOutcome:
        claimed = compute_task(self.get, claim_case, case, self.stopping)
        if isinstance(claimed, AlreadyThere):
            return self._skipped(claimed.case_id, case.job)
        try:
            done = self._compute_rows(case)
        except (RunEnded, Conflict):
            raise
        except OsteonError:
            release_claim(case.job.dataset, case.writer.prefix)  # or another preparation could not take the id
            raise
        if isinstance(done, AlreadyThere):
            return self._skipped(done.case_id, case.job)
        self.quarantine.drop(done.case_id)
        return outcome_of(case, "prepared")

    def _compute_rows(self, case: DerivedCase) -> Committed | AlreadyThere:
        done = compute_case(self.get, case, case.writer.num_rows, write_row, commit_case, self.stopping)
        assert isinstance(done, Committed | AlreadyThere)
        return done

    def _refused(self, case_id: str, job: PrepareJob, error: OsteonError) -> PrepareOutcome:
        kept = CaseOutcome.refused("quarantined", case_id, job.case_id, error)
        self.quarantine.put(kept, "", ())
        return refused(case_id, job, error)

    def _skipped(self, case_id: str, job: PrepareJob) -> PrepareOutcome:
        self.quarantine.drop(case_id)
        return PrepareOutcome(
            case_id=case_id,
            source=job.case_id,
            status="skipped",
            code="already-committed",
            reason="the dataset holds this case already, prepared alike from the same source",
        )


def outcome_of(case: DerivedCase, status: Literal["planned", "prepared"]) -> PrepareOutcome:
    """The outcome of a case that all is well with."""
    grid = case.preparation.grid
    return PrepareOutcome(
        case_id=case.writer.case_id,
        source=case.job.case_id,
        status=status,
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        num_bytes=2 * grid.num_voxels,
    )


def refused(case_id: str, job: PrepareJob, error: OsteonError) -> PrepareOutcome:
    """The outcome of what ``error`` kept out."""
    return PrepareOutcome(
        case_id=case_id,
        source=job.case_id,
        status="quarantined",
        code=error.code,
        reason=error.what,
        remedy=error.remedy,
    )
