"""Evaluation: segments labelled cases with a model, compares with their labels, writes the report."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from osteon.core.errors import BadInput, CorruptData
from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import DEFAULT_TOLERANCE_MM, compare_labels
from osteon.evaluation.pictures import Picture, draw_planes
from osteon.evaluation.report import check_free, write_report
from osteon.evaluation.scores import CaseScores
from osteon.evaluation.summary import Report, RunFacts, summarise
from osteon.inference.backends import Backend, BackendName
from osteon.inference.segmenter import Segmenter
from osteon.jobs.evaluate_cases import Choice, Held, choose_cases, name_some, seconds_per_step, split_of_model
from osteon.jobs.train_plan import check_prepared
from osteon.models.network import num_parameters
from osteon.recipes.bundle import Bundle, load_bundle, segmenter_of
from osteon.storage.case import StoredCase
from osteon.storage.dataset import Dataset
from osteon.telemetry.progress import Bar, progress_bar

LIBRARIES = ("osteon", "torch", "openvino", "monai", "numpy", "scipy")
CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Evaluated:
    """One case, segmented and compared.

    Attributes:
        scores: against the case's labels.
        pictures: in three planes.
        seconds: of segmentation, reading included.
    """

    scores: CaseScores
    pictures: tuple[Picture, ...]
    seconds: float


@dataclass(frozen=True)
class _Plan:
    """What is to be evaluated, resolved before anything is computed; ``tables`` are the bones judged in each case."""

    bundle: Bundle
    dataset: Dataset
    choice: Choice
    cases: tuple[StoredCase, ...]
    tables: tuple[LabelTable, ...]


def evaluate(
    bundle_url: str,
    dataset_url: str,
    cases: Sequence[str] | None,
    out: str,
    *,
    split: Held | None = None,
    backend: BackendName = "auto",
    tolerance_mm: float = DEFAULT_TOLERANCE_MM,
    progress: bool = False,
) -> Report:
    """Segment cases, score them against their labels, write ``report.json`` and ``report.html`` to ``out``.

    Args:
        bundle_url: the model.
        dataset_url: the dataset with labels.
        cases: case ids; None takes the cases of ``split``.
        out: folder or URL, without a report.
        split: see `choose_cases`.
        backend: the engine.
        tolerance_mm: of the surface Dice, at least 0.
        progress: whether to show a bar.

    Raises:
        OsteonError: a place, a case or a bone that is not there, or not one case can be read; nothing is written
            then. A single case that is damaged is left out and named in ``facts.unreadable``.
    """
    check_free(out)
    if not 0 <= tolerance_mm < math.inf:
        raise BadInput("bad-tolerance", f"a tolerance of {tolerance_mm} mm", remedy="give millimetres, 0 or more")
    started = datetime.now(UTC)
    plan = _plan(bundle_url, dataset_url, cases, split)
    segmenter = segmenter_of(plan.bundle, backend)
    with progress_bar("evaluating", len(plan.cases), shown=progress) as bar:
        done, unreadable = _evaluate_cases(segmenter, plan, tolerance_mm, bar)
    seconds = {case_id: result.seconds for case_id, result in done.items()}
    facts = _facts(bundle_url, plan, segmenter.backend, started, seconds, unreadable)
    report = summarise([result.scores for result in done.values()], facts)
    write_report(report, {case_id: result.pictures for case_id, result in done.items()}, out)
    return report


def common_bones(known: LabelTable, case: StoredCase) -> LabelTable:
    """The bones that a model knows and a case may hold, by id and name alike: those that can be judged.

    Raises:
        BadInput: ``no-common-bones``.
    """
    common = set(known.labels) & set(case.table.labels)
    if not common:
        raise BadInput(
            "no-common-bones",
            f"the model knows {_bones(known)}; the labels of the case are {_bones(case.table)}",
            where=f"case {case.case_id}",
            remedy="evaluate on cases labelled with bones that the model was trained on",
        )
    return known.subset(label.id for label in common)


def describe_machine(device: torch.device) -> str:
    """Processor, cores, operating system and accelerator; no host name."""
    processor = platform.processor() or platform.machine()
    if CPU_INFO.exists():  # Linux, where Python does not say which processor it is
        lines = (line.partition(":") for line in CPU_INFO.read_text().splitlines())
        processor = next((value.strip() for key, _, value in lines if key.strip() == "model name"), processor)
    parts = [processor, f"{os.cpu_count()} cores", f"{platform.system()} {platform.release()}"]
    if device.type == "cuda":
        parts.append(torch.cuda.get_device_name(device))
    return ", ".join(parts)


def _plan(bundle_url: str, dataset_url: str, names: Sequence[str] | None, split: Held | None) -> _Plan:
    dataset, bundle = Dataset.open(dataset_url), load_bundle(bundle_url)
    choice = choose_cases(dataset, split_of_model(bundle_url, bundle, dataset), names, split)
    check_prepared(bundle.recipe, dataset, choice.case_ids)
    cases = tuple(dataset.case(case_id) for case_id in choice.case_ids)
    return _Plan(bundle, dataset, choice, cases, tuple(common_bones(bundle.table, case) for case in cases))


def _evaluate_cases(
    segmenter: Segmenter, plan: _Plan, tolerance_mm: float, bar: Bar
) -> tuple[dict[str, Evaluated], dict[str, str]]:
    """What each case came to, and why others could not be read; a damaged case does not stop the rest."""
    done: dict[str, Evaluated] = {}
    unreadable: dict[str, CorruptData] = {}
    for case, table in zip(plan.cases, plan.tables, strict=True):
        try:
            done[case.case_id] = _evaluate_case(segmenter, case, table, tolerance_mm, bar)
        except CorruptData as error:
            unreadable[case.case_id] = error
    if not done:
        raise next(iter(unreadable.values()))
    return done, {case_id: str(error) for case_id, error in unreadable.items()}


def _facts(
    bundle_url: str,
    plan: _Plan,
    backend: Backend,
    started: datetime,
    seconds: dict[str, float],
    unreadable: dict[str, str],
) -> RunFacts:
    return RunFacts(
        model=bundle_url,
        model_digest=plan.bundle.digest,
        recipe=plan.bundle.recipe.name,
        dataset=plan.dataset.name,
        dataset_url=plan.dataset.url,
        split=plan.choice.split,
        seen_in_training=plan.choice.seen_in_training,
        unreadable=unreadable,
        backend=backend.name,
        started=started.isoformat(timespec="seconds"),
        seconds=seconds,
        num_parameters=num_parameters(plan.bundle.network),
        seconds_per_step=seconds_per_step(bundle_url),
        unscored_model_bones=_unscored([plan.bundle.table], plan.tables),
        unscored_dataset_bones=_unscored([case.table for case in plan.cases], plan.tables),
        versions={"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}},
        machine=describe_machine(backend.device),
    )


def _evaluate_case(
    segmenter: Segmenter, case: StoredCase, table: LabelTable, tolerance_mm: float, bar: Bar
) -> Evaluated:
    image = case.image()
    begun = time.perf_counter()
    prediction = segmenter.segment(
        image, case.zones, _advance(bar, case.case_id), levels=[case.image(level) for level in range(case.num_levels)]
    )
    seconds = time.perf_counter() - begun
    reference = case.labels().read((0, 0, 0), case.grid.shape).result()
    scores = compare_labels(prediction, reference, case.grid, table, tolerance_mm, case_id=case.case_id)
    return Evaluated(scores, draw_planes(image, prediction, reference, table), seconds)


def _advance(bar: Bar, note: str) -> Callable[[int, int], None]:
    """Moves the bar, which counts cases, with the windows of one case."""
    shown = 0

    def advance(done: int, total: int) -> None:
        nonlocal shown
        bar.advance((done - shown) / total, note)
        shown = done

    return advance


def _unscored(tables: Sequence[LabelTable], scored: Sequence[LabelTable]) -> tuple[str, ...]:
    """Names of the bones in some of the tables that no case was scored for."""
    judged = {label for table in scored for label in table.labels}
    left = {label for table in tables for label in table.labels} - judged
    return tuple(label.name for label in sorted(left, key=lambda label: label.id))


def _bones(table: LabelTable) -> str:
    return name_some([label.name for label in table.labels]) or "none"
