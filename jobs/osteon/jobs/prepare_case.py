"""One source case of a preparation, as tasks: identify, plan, claim, write one shard row, commit. Knows no scheduler.

The same patterns as `osteon.jobs.ingest_case`: small picklable values in and out, refusals given back as values.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from osteon.core.chain import Derivation
from osteon.core.errors import BadInput, Conflict, OsteonError
from osteon.core.geometry import Reorientation
from osteon.core.labels import LabelTable
from osteon.data.prepare import Guide, Preparation, PrepareSpec, plan_scan, prepare_hu, prepare_labels
from osteon.jobs.ingest_case import AlreadyThere, Committed, refusals_as_values
from osteon.storage.case import StoredCase, StoredVolume, open_case
from osteon.storage.layout import LABELS_GROUP
from osteon.storage.plan import case_prefix
from osteon.storage.provenance import Provenance
from osteon.storage.stores import Store
from osteon.storage.writer import CaseWriter, RowReceipt

VERSION = 1  # of what the same spec makes of the same voxels: raise it when that changes


@dataclass(frozen=True)
class PrepareJob:
    """All a worker must know to prepare a case.

    Attributes:
        case_id: the source case.
        source: the dataset it is in.
        guide: where other labels that show its bones are: a dataset, or a folder of ``<case id>.zarr``.
        dataset: the dataset to write to.
        table: that dataset's labels.
        spec: what is asked for.
        replace: write over a case that was prepared otherwise.
    """

    case_id: str
    source: Store
    guide: Store | None
    dataset: Store
    table: LabelTable
    spec: PrepareSpec
    replace: bool


@dataclass(frozen=True)
class Identity:
    """What tells one preparation of a case from another; both digests are kept as those of the derived case's source.

    Attributes:
        source_digest: of the source case, what is asked for, and the labels that show its bones.
        labels_digest: of the source case's labels.
    """

    source_digest: str
    labels_digest: str


@dataclass(frozen=True)
class DerivedCase:
    """A case that is to be written.

    Attributes:
        job: what was asked.
        identity: of the preparation.
        source: where voxels come from.
        preparation: what is done to them.
        writer: writes its rows.
    """

    job: PrepareJob
    identity: Identity
    source: StoredCase
    preparation: Preparation
    writer: CaseWriter

    @property
    def provenance(self) -> Provenance:
        """Where it comes from; its own grid is what labels of it are exported to."""
        origin = self.source.provenance
        chain = self.preparation.chain
        return Provenance(
            "prepared",
            self.identity.source_digest,
            self.preparation.grid,
            Reorientation(),
            origin.corrections,
            origin.fields,
            self.identity.labels_digest,
            Derivation(self.source.case_id, self.source.grid, chain, self.job.spec.digest),
        )


@refusals_as_values
def identify(job: PrepareJob) -> Identity:
    """Which preparation is asked for; no voxel is read."""
    return _identity(job, _source(job), _other_labels(job))


@refusals_as_values
def plan_case(job: PrepareJob) -> tuple[DerivedCase, ...]:
    """Find what has to be found, and say what is derived; nothing is written."""
    source, other = _source(job), _other_labels(job)
    identity = _identity(job, source, other)
    plans = plan_scan(_image(source), guide_of(other or source), job.spec)
    return tuple(
        DerivedCase(job, identity, source, plan, _writer(job, f"{job.case_id}{plan.suffix}", plan, source.has_labels))
        for plan in plans
    )


@refusals_as_values
def claim_case(case: DerivedCase) -> DerivedCase | AlreadyThere:
    """Claim the derived id."""
    identity = case.identity
    try:
        begun = case.writer.begin(
            identity.source_digest, labels_digest=identity.labels_digest, replace=case.job.replace
        )
    except Conflict as error:
        what = "this id belongs to a case that was prepared otherwise, or from another source"
        remedy = "write to another dataset, or pass --replace if nothing else is writing it"
        raise Conflict("other-preparation", what, where=case.writer.case_id, remedy=remedy) from error
    return case if begun else AlreadyThere(case.writer.case_id)


@refusals_as_values
def write_row(case: DerivedCase, row: int) -> RowReceipt:
    """Read what the row needs of the source, sample it, encode and put it."""
    planes = case.writer.row_range(row)
    hu = prepare_hu(_image(case.source), case.preparation, case.job.spec, planes)
    labels = prepare_labels(_labels(case.source), case.preparation, planes) if case.writer.has_labels else None
    return case.writer.write_row(row, hu, labels)


@refusals_as_values
def commit_case(case: DerivedCase, rows: Sequence[RowReceipt | OsteonError]) -> Committed | AlreadyThere:
    """Put the root document, if every row was written."""
    receipts = []
    for row in rows:
        if isinstance(row, OsteonError):
            raise row
        receipts.append(row)
    won = case.writer.commit(receipts, case.provenance)
    return Committed(case.writer.case_id) if won else AlreadyThere(case.writer.case_id)


def guide_of(case: StoredCase) -> Guide | None:
    """A case's labels as a guide; None if it has none."""
    return Guide(_labels(case), case.table) if case.has_labels else None


def open_labels(folder: Store, case_id: str) -> StoredCase:
    """The labels of a case in a dataset, or in a folder where `osteon segment` left them as ``<case id>.zarr``.

    Raises:
        BadInput: ``no-guide``.
    """
    for key in (case_prefix(case_id), f"{case_id}.zarr"):
        try:
            return open_case(folder.child(*key.split("/")))
        except BadInput:
            continue
    remedy = f"segment the case into {case_id}.zarr there first"
    raise BadInput("no-guide", f"there are no labels of case {case_id}", where=folder.url, remedy=remedy)


def _source(job: PrepareJob) -> StoredCase:
    return open_case(job.source.child(*case_prefix(job.case_id).split("/")))


def _other_labels(job: PrepareJob) -> StoredCase | None:
    return open_labels(job.guide, job.case_id) if job.guide is not None and job.spec.needs_labels else None


def _identity(job: PrepareJob, source: StoredCase, other: StoredCase | None) -> Identity:
    origin = source.provenance
    parts = [VERSION, origin.source_digest, job.spec.digest, _label_bytes(other) if other else ""]
    return Identity(hashlib.sha256(json.dumps(parts).encode()).hexdigest(), origin.labels_digest)


def _label_bytes(case: StoredCase) -> list[str]:
    """What tells labels apart, whatever they say of their source: two models segment the same scan."""
    objects = case.manifest.objects.items()
    return [stored.sha256 for key, stored in objects if key.startswith(LABELS_GROUP)]


def _writer(job: PrepareJob, case_id: str, plan: Preparation, has_labels: bool) -> CaseWriter:
    return CaseWriter.plan(job.dataset, case_id, plan.grid, job.table, has_labels)


def _image(case: StoredCase) -> tuple[StoredVolume, ...]:
    return tuple(case.image(level) for level in range(case.num_levels))


def _labels(case: StoredCase) -> tuple[StoredVolume, ...]:
    return tuple(case.labels(level) for level in range(case.num_levels))
