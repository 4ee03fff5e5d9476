"""One source case from plan to commit, as its driver sees it.

Knows no scheduler: it is given something that computes a graph.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Literal

from osteon.core.errors import Conflict, OsteonError
from osteon.jobs.graph import Get, Graph, RunEnded, compute
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

Outcomes = tuple[PrepareOutcome, ...]


@dataclass(frozen=True)
class PrepareLane:
    """Takes the source cases of one run to their end; may be called from many threads.

    Attributes:
        get: from a graph and one of its keys to the key's value.
        committed: (source digest, labels digest) by id of the derived cases that are there already.
        quarantine: where refusals are kept.
        stopping: set when the run is being stopped.
    """

    get: Get
    committed: dict[str, tuple[str, str]]
    quarantine: Quarantine
    stopping: threading.Event = field(default_factory=threading.Event)

    def take(self, job: PrepareJob) -> Outcomes:
        """Prepare one source case, or say why not.

        Raises:
            RunEnded: the scheduler is gone or the run is being stopped.
            StoreError: the store refuses even the quarantine.
        """
        started = time.perf_counter()
        outcomes = self._prepare(job)
        seconds = round(time.perf_counter() - started, 3)
        return tuple(outcome.model_copy(update={"seconds": seconds}) for outcome in outcomes)

    def _prepare(self, job: PrepareJob) -> Outcomes:
        try:
            there = self._there(job) if self.committed else ()
            if there:
                return there
            key = f"plan-{uuid.uuid4().hex}"
            cases = self._get({key: (plan_case, job)}, key)
        except RunEnded:
            raise
        except OsteonError as error:
            return (self._refused(job.case_id, job, error),)
        assert isinstance(cases, tuple)
        self.quarantine.drop(job.case_id)
        return tuple(self._derive(case) for case in cases)

    def _there(self, job: PrepareJob) -> Outcomes:
        """The outcomes of a case all of whose derived cases are there; found before any voxel is read."""
        key = f"identify-{uuid.uuid4().hex}"
        identity = self._get({key: (identify, job)}, key)
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
        key = f"claim-{uuid.uuid4().hex}"
        claimed = self._get({key: (claim_case, case)}, key)
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
        token = uuid.uuid4().hex  # keys are global to a scheduler
        rows = [f"row-{number}-{token}" for number in range(case.writer.num_rows)]
        graph: Graph = {f"case-{token}": case}
        graph |= {key: (write_row, f"case-{token}", number) for number, key in enumerate(rows)}
        graph[f"commit-{token}"] = (commit_case, f"case-{token}", rows)
        done = self._get(graph, f"commit-{token}")
        assert isinstance(done, Committed | AlreadyThere)
        return done

    def _get(self, graph: Graph, key: str) -> object:
        return compute(self.get, graph, key, self.stopping)

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
