"""One piece of work on an archive: a case labelled as a whole, or a range of its planes. Knows no Ray and no queue.

Scans are read from the store block by block and labels written to it; nothing else is kept. Whoever keeps the last part
of a case puts the parts together, so that nobody has to wait for the others. Whatever a killed worker leaves is done
again from its last whole part, and two workers that do the same write the same bytes, of which one commit counts.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
import numpy.typing as npt

from osteon.core.errors import Conflict, OsteonError
from osteon.core.labels import LabelTable
from osteon.core.volume import Labels
from osteon.inference.backends import BackendName
from osteon.inference.postprocess import postprocess
from osteon.inference.prepared import must_prepare
from osteon.inference.segmenter import Segmenter
from osteon.jobs.predict_plan import Unit
from osteon.jobs.timed_reads import Clock
from osteon.recipes.apply import scan_of, segment_scan
from osteon.recipes.bundle import Bundle, load_bundle, segmenter_of
from osteon.recipes.ranges import Parts
from osteon.storage.case import StoredCase, open_case
from osteon.storage.catalog import CatalogRow
from osteon.storage.claims import release_claim
from osteon.storage.plan import case_prefix
from osteon.storage.stores import Store
from osteon.storage.writer import CaseWriter, RowReceipt

WORK = "work"  # folder of parts that wait for the others
VERSION = 1  # of what the same model makes of the same voxels: raise it when that changes
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PredictJob:
    """All a worker must know.

    Attributes:
        model: URL of the model.
        model_digest: what it has to be.
        backend: the engine.
        source: the dataset to read.
        out: the dataset to write.
    """

    model: str
    model_digest: str
    backend: BackendName
    source: Store
    out: Store


@dataclass(frozen=True)
class Taken:
    """What came of a piece of work.

    Attributes:
        row: the catalog's row of the case, if it is whole now.
        table: the bones it may hold, if it is whole now.
        error: why the case was refused.
        voxels: labelled.
        labelling_seconds: it took to label them.
        waiting_seconds: of these, waited for data.
    """

    row: CatalogRow | None = None
    table: LabelTable | None = None
    error: OsteonError | None = None
    voxels: int = 0
    labelling_seconds: float = 0.0
    waiting_seconds: float = 0.0


def identity_of(model_digest: str, source_digest: str, guide_digest: str) -> str:
    """What tells one prediction of a case from another.

    Args:
        model_digest: of the model.
        source_digest: of the scan.
        guide_digest: of the labels that show its bones; empty for models that need none.
    """
    return hashlib.sha256(json.dumps([VERSION, model_digest, source_digest, guide_digest]).encode()).hexdigest()


def parts_of(out: Store, case_id: str, identity: str) -> Parts:
    """Where the parts of a case wait."""
    return Parts(out.child(WORK, case_id, identity[:16]))


@dataclass(frozen=True)
class Predictor:
    """A model in memory and the work it does; while one thread labels, another may read, mend and write.

    Attributes:
        job: what is to be done.
        bundle: the model.
        segmenter: the same on its engine.
        labelling: held while it computes.
    """

    job: PredictJob
    bundle: Bundle
    segmenter: Segmenter
    labelling: AbstractContextManager[object] = field(default_factory=threading.Lock)

    @classmethod
    def load(cls, job: PredictJob, num_threads: int = 0) -> Predictor:
        """Bring the model into memory, for so many threads of a processor; 0 for all its cores.

        Raises:
            Conflict: ``other-model``: it is no longer the one that the run began with.
        """
        bundle = load_bundle(job.model)
        if bundle.digest != job.model_digest:
            what = f"the model is {bundle.digest[:12]}… now, the run began with {job.model_digest[:12]}…"
            raise Conflict("other-model", what, where=job.model, remedy="put the first one back, or use another --out")
        return cls(job, bundle, segmenter_of(bundle, job.backend, num_threads))

    def take(self, unit: Unit) -> Taken:
        """Do a piece of work; what makes its case impossible is given back."""
        try:
            return self._take(unit)
        except OsteonError as error:
            return Taken(error=error)
        except Exception as error:  # ours, and no reason to leave the rest of the archive undone
            log.exception("case %s failed", unit.case.case_id)
            what = f"segmenting it failed inside Osteon ({type(error).__name__})"
            return Taken(error=OsteonError("internal", what, remedy="look into the worker's log, and report it"))

    def _take(self, unit: Unit) -> Taken:
        case = open_case(self.job.source.child(*case_prefix(unit.case.case_id).split("/")))
        if case.provenance.source_digest != unit.case.source_digest:
            remedy = "run the same command again"
            raise Conflict("source-changed", "the scan was replaced while it was segmented", remedy=remedy)
        whole = (0, case.grid.shape[0])
        if must_prepare(self.bundle.recipe.prepare, case.provenance.derivation):
            labels, table, done = self._prepared(case)
        elif not unit.ranges:
            labels, done = self._labelled(case, whole)
            labels, table = self._mended(labels, case), self.segmenter.table
        else:
            return self._part(unit, case)
        return self._commit(unit, case, labels, table, done)

    def _part(self, unit: Unit, case: StoredCase) -> Taken:
        """Label a range, unless it is; the case too, if it was the last."""
        parts, done = parts_of(self.job.out, unit.case.case_id, unit.case.identity), Taken()
        if unit.number is not None and not parts.has(unit.number):
            labels, done = self._labelled(case, unit.ranges[unit.number])
            parts.keep(unit.number, labels)
        if parts.missing(len(unit.ranges)):
            return done
        try:
            joined = parts.joined(len(unit.ranges))
        except FileNotFoundError:  # another worker found the same, was faster and has cleared them away
            return self._there(unit, done)
        return self._commit(unit, case, self._mended(joined, case), self.segmenter.table, done)

    def _labelled(self, case: StoredCase, planes: tuple[int, int]) -> tuple[Labels, Taken]:
        clock, opened = Clock(), scan_of(case)
        scan = clock.watch(opened)
        with self.labelling:
            began = time.perf_counter()
            labels = self.segmenter.label(scan.image, scan.zones, levels=scan.levels, z_range=planes)
            return labels, _measured(labels, began, clock)

    def _prepared(self, case: StoredCase) -> tuple[Labels, LabelTable, Taken]:
        clock, opened = Clock(), scan_of(case)
        scan = clock.watch(opened)
        with self.labelling:
            began = time.perf_counter()
            labels, table = segment_scan(self.segmenter, self.bundle.recipe.prepare, scan)
            return labels, table, _measured(labels, began, clock)

    def _mended(self, labels: Labels, case: StoredCase) -> Labels:
        return postprocess(labels, self.segmenter.postprocess, case.grid.spacing_mm, self.segmenter.table)

    def _commit(self, unit: Unit, case: StoredCase, labels: Labels, table: LabelTable, done: Taken) -> Taken:
        """Write scan and labels as a case of the output."""
        provenance = replace(case.provenance, labels_digest=unit.case.identity)
        writer = CaseWriter.plan(self.job.out, case.case_id, case.grid, table, has_labels=True)
        try:
            if writer.begin(provenance.source_digest, labels_digest=provenance.labels_digest):
                writer.commit([_write_row(writer, row, case, labels) for row in range(writer.num_rows)], provenance)
        except Conflict as error:
            raise other_scan() from error
        except OsteonError:
            release_claim(self.job.out, writer.prefix)  # or the scan could not be replaced before it is tried again
            raise
        return self._there(unit, done)

    def _there(self, unit: Unit, done: Taken) -> Taken:
        """What is told of a case that is committed; its parts are needed no longer."""
        manifest = open_case(self.job.out.child(*case_prefix(unit.case.case_id).split("/"))).manifest
        if unit.ranges:
            self.job.out.delete(f"{WORK}/{unit.case.case_id}")
        return replace(done, row=CatalogRow.of(manifest), table=manifest.table)


def other_scan() -> Conflict:
    """The refusal of a case whose id the output holds of something else."""
    what = "the output holds this id of another scan, or of the scan before it was replaced"
    remedy = "use another --out, or remove the case there"
    return Conflict("other-scan", what, remedy=remedy)


def _measured(labels: Labels, began: float, clock: Clock) -> Taken:
    seconds = time.perf_counter() - began
    return Taken(voxels=labels.size, labelling_seconds=seconds, waiting_seconds=clock.seconds)


def _write_row(writer: CaseWriter, row: int, case: StoredCase, labels: Labels) -> RowReceipt:
    first, stop = writer.row_range(row)
    hu = case.image().read((first, 0, 0), (stop - first, *case.grid.shape[1:])).result()
    return writer.write_row(row, cast(npt.NDArray[np.int16], hu), labels[first:stop])
