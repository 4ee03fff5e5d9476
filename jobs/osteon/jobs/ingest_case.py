"""One case of an ingest, as tasks: identify, open, write one shard row, commit. Knows no scheduler.

Each task runs on whatever worker got it, takes and returns small picklable values, and gives a refusal back as a
value: an exception that crossed a scheduler would be logged with its arguments, and those hold file names.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import hmac
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from osteon.core.errors import OsteonError
from osteon.core.labels import LabelTable
from osteon.storage.importers import CaseSource
from osteon.storage.provenance import Provenance
from osteon.storage.readers import LabelScan, Scan, labels_digest, open_scan, read_labels, source_digest
from osteon.storage.stores import Store
from osteon.storage.writer import CaseWriter, RowReceipt

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class CaseJob:
    """All a worker must know to do any part of a case.

    Attributes:
        source: where scan and labels are.
        dataset: where the case goes.
        table: the dataset's labels.
        scratch: the case's folder for decoded copies; shared by the workers of one machine.
        allow_gaps: resample what lies on no even grid, and labels on another grid, instead of refusing it.
        replace: write over a case of another source.
    """

    source: CaseSource
    dataset: Store
    table: LabelTable
    scratch: Path
    allow_gaps: bool
    replace: bool


@dataclass(frozen=True)
class Identity:
    """What tells one case from another.

    Attributes:
        case_id: the id in the dataset.
        source_digest: of the scan's bytes; empty if they cannot be read.
        labels_digest: of the labels' bytes and names; empty without labels.
    """

    case_id: str
    source_digest: str
    labels_digest: str


@dataclass(frozen=True)
class OpenCase:
    """A case whose source was checked and whose id is claimed.

    Attributes:
        job: what was asked.
        volumes: the source, ready to be read in slabs.
        writer: writes its rows.
        shared: its decoded copies are in the run's scratch folder, not in one of the worker that opened it.
    """

    job: CaseJob
    volumes: Volumes
    writer: CaseWriter
    shared: bool


@dataclass(frozen=True)
class Volumes:
    """A scan and its labels on the same grid, if it has any."""

    scan: Scan
    labels: LabelScan | None

    @property
    def provenance(self) -> Provenance:
        """Where both came from."""
        origin = self.scan.provenance
        if self.labels is None:
            return origin
        corrections = (*origin.corrections, *self.labels.corrections)
        return replace(origin, corrections=corrections, labels_digest=self.labels.digest)


@dataclass(frozen=True)
class AlreadyThere:
    """The dataset holds this case already, from the same source."""

    case_id: str


@dataclass(frozen=True)
class Committed:
    """The case is in the dataset, by this ingest."""

    case_id: str


def refusals_as_values(task: Callable[P, T]) -> Callable[P, T | OsteonError]:
    """The task, returning what kept it from its work instead of raising it."""

    @functools.wraps(task)
    def caught(*args: P.args, **kwargs: P.kwargs) -> T | OsteonError:
        try:
            return task(*args, **kwargs)
        except OsteonError as error:
            return error
        except Exception as error:
            return _as_refusal(error)

    return caught


@refusals_as_values
def identify(job: CaseJob) -> Identity:
    """Who the case is, from the bytes of its files; nothing is decoded."""
    digest = source_digest(job.source.scan)
    labels = labels_digest(job.source.labels) if job.source.labels else ""
    return Identity(job.source.case_id or hashed_id(digest), digest, labels)


@refusals_as_values
def open_case(job: CaseJob) -> OpenCase | AlreadyThere:
    """Check the source, decode what must be decoded whole, and claim the id."""
    shared = is_shared(job)
    volumes = _open(job, job.scratch) if shared else _opened_here(job).volumes
    origin = volumes.provenance
    case_id = job.source.case_id or hashed_id(origin.source_digest)
    writer = CaseWriter.plan(job.dataset, case_id, volumes.scan.grid, job.table, volumes.labels is not None)
    begun = writer.begin(origin.source_digest, labels_digest=origin.labels_digest, replace=job.replace)
    return OpenCase(job, volumes, writer, shared) if begun else AlreadyThere(case_id)


@refusals_as_values
def write_row(case: OpenCase, row: int) -> RowReceipt:
    """Read, pool, encode and put one shard row."""
    opened = case if case.shared and is_shared(case.job) else _opened_here(case.job)
    scan, labels = opened.volumes.scan, opened.volumes.labels
    z0, z1 = case.writer.row_range(row)
    return case.writer.write_row(row, scan.read_slab(z0, z1), labels.read_slab(z0, z1) if labels else None)


@refusals_as_values
def commit_case(case: OpenCase, rows: Sequence[RowReceipt | OsteonError]) -> Committed | AlreadyThere:
    """Put the root document, if every row was written."""
    receipts = []
    for row in rows:
        if isinstance(row, OsteonError):
            raise row
        receipts.append(row)
    won = case.writer.commit(receipts, case.volumes.provenance)
    return Committed(case.writer.case_id) if won else AlreadyThere(case.writer.case_id)


def hashed_id(text: str) -> str:
    """An id that follows from ``text`` (a digest, a path) and the secret ``OSTEON_ID_KEY``: HMAC-SHA256, 16 digits."""
    key = os.environ.get("OSTEON_ID_KEY", "").encode()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:16]


def _open(job: CaseJob, scratch: Path) -> Volumes:
    scratch.mkdir(parents=True, exist_ok=True)
    scan = open_scan(job.source.scan, scratch=scratch, allow_gaps=job.allow_gaps)
    if job.source.labels is None:
        return Volumes(scan, None)
    labels = read_labels(job.source.labels, scan, job.table, scratch=scratch, resample=job.allow_gaps)
    return Volumes(scan, labels)


def is_shared(job: CaseJob) -> bool:
    """Whether this worker sees the run's scratch folder: not if it is on another machine than the driver."""
    return job.scratch.parent.is_dir()


class _OpenedHere:
    """A case opened by this process for itself; its decoded copies go when nobody needs them any more."""

    def __init__(self, job: CaseJob) -> None:
        folder = tempfile.mkdtemp(prefix="osteon-ingest-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self.volumes = _open(job, Path(folder))


@functools.lru_cache(maxsize=1)
def _opened_here(job: CaseJob) -> _OpenedHere:
    return _OpenedHere(job)


def _as_refusal(error: Exception) -> OsteonError:
    """A resource that ran out, or a fault of our own: one case fails, the others go on."""
    if isinstance(error, MemoryError):
        return OsteonError("out-of-memory", "the worker ran out of memory", remedy="use fewer --workers")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return OsteonError("disk-full", "no space left on the disk", remedy="free some, or let TMPDIR point elsewhere")
    if isinstance(error, OSError):
        return OsteonError(
            "unreadable", f"{type(error).__name__}: {error.strerror}", remedy="look at the file's rights"
        )
    return OsteonError("internal-error", f"{type(error).__name__}: {error}", remedy="please report this as a bug")
