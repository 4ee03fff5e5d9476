"""From labels to a dataset of synthetic scans, case by case in worker processes.

What a case is follows from its body, the seed and its number alone: whoever draws it, and however many there are.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal
from urllib.parse import unquote

from osteon.core.errors import BadInput, OsteonError
from osteon.core.geometry import Reorientation, Vector3
from osteon.core.labels import LabelTable, canonical_name, table_for
from osteon.data.synthesis import Anatomy, check_choices, synthesise
from osteon.jobs.label_sources import BodySource
from osteon.storage.dataset import Dataset
from osteon.storage.importers.bare_labels import bones_of
from osteon.storage.provenance import Provenance
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case
from osteon.telemetry.progress import progress_bar

MODEL = 3  # to be raised whenever a seed gives other voxels
_FINEST_MM = 1.0  # nothing is drawn finer than half the voxels asked for, or this if they are drawn, too


@dataclass(frozen=True)
class Synthesis:
    """What is to be made.

    Attributes:
        bodies: labelled bodies; case k is made of body k, counted round.
        cases: how many scans.
        seed: of the set.
        spacing_mm: of the scans' voxels, z, y, x; None to draw it for each.
        bones: names of the bones that are labelled in the scans; all if empty.
        merges: structures that are counted as parts of others (from name, into name).
    """

    bodies: tuple[BodySource, ...]
    cases: int
    seed: int
    spacing_mm: Vector3 | None = None
    bones: tuple[str, ...] = ()
    merges: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SyntheticCase:
    """One case of the result.

    Attributes:
        case_id: ``synthetic-0000`` and so on.
        status: whether it was written now, or was there already.
    """

    case_id: str
    status: Literal["written", "skipped"]


@dataclass(frozen=True)
class SynthesisSummary:
    """What was done.

    Attributes:
        dataset: its URL.
        cases: in order of their numbers.
        bones: names of the bones that are labelled.
        seconds: wall clock.
    """

    dataset: str
    cases: tuple[SyntheticCase, ...]
    bones: tuple[str, ...]
    seconds: float


@dataclass(frozen=True)
class _Task:
    """One case, for a worker."""

    plan: Synthesis
    number: int
    dataset: Dataset
    table: LabelTable


def run_synthesis(
    plan: Synthesis, dataset_url: str, *, num_workers: int | None = None, shown: bool = False
) -> SynthesisSummary:
    """Draw and commit every case of a plan; those that are there already are skipped.

    Args:
        plan: what is to be made.
        dataset_url: folder or ``s3://bucket/prefix``; made if there is none.
        num_workers: processes; None for one per core.
        shown: draw a progress bar on standard error.

    Raises:
        BadInput: ``synthesis-cases``, ``no-bones``, ``unknown-bone``, and as `osteon.data.synthesis.synthesise`.
        BadScan: a body's labels cannot be read.
        OsteonError: ``lost-worker``.
        Conflict: ``other-source``: the dataset holds a case of the same number from another body, seed or option.
    """
    if plan.cases < 1:
        raise BadInput("synthesis-cases", f"{plan.cases} scans cannot be made", remedy="ask for 1 or more")
    check_choices(plan.seed, plan.cases, plan.spacing_mm)
    started = time.perf_counter()
    table = bone_table(plan)
    dataset = Dataset.create(dataset_url, unquote(open_store(dataset_url).url).rpartition("/")[2], table)
    # Cases of one body follow each other, so that a worker prepares it once.
    numbers = sorted(range(plan.cases), key=lambda number: (number % len(plan.bodies), number))
    tasks = [_Task(plan, number, dataset, table) for number in numbers]
    workers = min(num_workers or len(os.sched_getaffinity(0)), len(tasks))
    cases = []
    with progress_bar("Synthesising", len(tasks), shown=shown) as bar:
        for case in _run(tasks, workers):
            cases.append(case)
            bar.advance(note=case.case_id)
    dataset.refresh()
    in_order = tuple(sorted(cases, key=lambda case: case.case_id))
    return SynthesisSummary(dataset.url, in_order, tuple(table.ids), round(time.perf_counter() - started, 3))


def bone_table(plan: Synthesis) -> LabelTable:
    """The bones that the scans are labelled with.

    Raises:
        BadInput: ``no-bones``, ``unknown-bone``.
    """
    found = [plan.merges.get(name, name) for body in plan.bodies for name in bones_of(body.table).ids]
    if not found:
        raise BadInput("no-bones", "the labels name no bone", remedy="check the names in the labels map")
    wanted = [canonical_name(name) for name in plan.bones]
    unknown = sorted(set(wanted) - set(found))
    if unknown:
        raise BadInput(
            "unknown-bone", f"the labels name no {unknown[0]}", remedy=f"choose among {', '.join(sorted(set(found)))}"
        )
    return table_for(wanted or found)


def _run(tasks: Sequence[_Task], num_workers: int) -> Iterator[SyntheticCase]:
    if num_workers == 1:
        yield from map(_make, tasks)
        return
    pool = ProcessPoolExecutor(
        num_workers, multiprocessing.get_context("spawn"), initializer=signal.signal, initargs=_IGNORE_INTERRUPT
    )
    try:
        for done in as_completed([pool.submit(_make, task) for task in tasks]):
            yield done.result()
    except BrokenProcessPool:
        what = "a worker was killed, perhaps for want of memory"
        raise OsteonError("lost-worker", what, remedy="run again with fewer --workers; what is there is kept") from None
    finally:  # after an interrupt or an error: what was begun is finished, nothing else is started
        pool.shutdown(cancel_futures=True)


_IGNORE_INTERRUPT = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides


def _make(task: _Task) -> SyntheticCase:
    """Draw one case and commit it, unless it is there."""
    plan, case_id = task.plan, f"synthetic-{task.number:04d}"
    body = plan.bodies[task.number % len(plan.bodies)]
    digest = _digest(task, body)
    if _is_there(task.dataset, case_id, digest):
        return SyntheticCase(case_id, "skipped")
    anatomy = _anatomy(body, plan.spacing_mm, tuple(sorted(plan.merges.items())))
    made = synthesise(anatomy, task.table, seed=plan.seed, case=task.number, spacing_mm=plan.spacing_mm)
    provenance = Provenance("synthetic", digest, made.grid, Reorientation(), labels_digest=digest)
    write_case(task.dataset, case_id, made.hu, made.labels, made.grid, provenance)
    return SyntheticCase(case_id, "written")


def _is_there(dataset: Dataset, case_id: str, digest: str) -> bool:
    """Whether the case is committed, from the same choices; another one is left for `write_case` to refuse."""
    try:
        kept = dataset.case(case_id).provenance
    except BadInput:
        return False
    return kept.source_digest == digest


def _digest(task: _Task, body: BodySource) -> str:
    """What the case's voxels follow from."""
    plan = task.plan
    choices = [MODEL, _body_digest(body), plan.seed, task.number, plan.spacing_mm, task.table.names, dict(plan.merges)]
    return hashlib.sha256(json.dumps(choices, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def _body_digest(body: BodySource) -> str:
    return body.digest()


@lru_cache(maxsize=1)
def _anatomy(body: BodySource, spacing_mm: Vector3 | None, merges: tuple[tuple[str, str], ...]) -> Anatomy:
    """The body prepared; kept for the worker's next case."""
    volume = body.read().merged(dict(merges))
    voxel_mm = max(min(volume.grid.spacing_mm), min(spacing_mm or (2 * _FINEST_MM,)) / 2)
    bones = bones_of(volume.table).ids
    return Anatomy.of(volume.ids, volume.grid, volume.table, bones, voxel_mm)
