"""Which cases an evaluation takes, and whether the model has seen them in training."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from osteon.core.errors import BadInput
from osteon.jobs.run_folder import MODEL, RunFolder
from osteon.recipes.bundle import Bundle
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.training.plan import Split

Held = Literal["validation", "test", "all"]
NUM_NAMED = 5  # case ids that an error names at most


@dataclass(frozen=True)
class Choice:
    """The cases of an evaluation.

    Attributes:
        case_ids: sorted, each with labels.
        split: how they were chosen.
        seen_in_training: those that the model learnt from; None if it does not say which it did.
    """

    case_ids: tuple[str, ...]
    split: Literal["validation", "test", "all", "named"]
    seen_in_training: tuple[str, ...] | None


def choose_cases(dataset: Dataset, split: Split | None, names: Sequence[str] | None, held: Held | None) -> Choice:
    """The named cases, or those of a part of the dataset; without either the validation cases.

    Args:
        dataset: where the cases are.
        split: of the model's training, if known (see `split_of_model`).
        names: case ids.
        held: ``validation``: held out in training; ``test``: in neither part of the split; ``all``: all with labels.

    Raises:
        BadInput: ``cases-and-split``, ``unknown-case``, ``no-labels``, ``no-split`` or ``no-cases``.
    """
    if names is not None and held is not None:
        raise BadInput("cases-and-split", "cases are named and a split is asked for", remedy="give one of the two")
    labelled = {row.case_id: row.has_labels for row in dataset.catalog()}
    if names is not None:
        chosen = _named(names, labelled, dataset.url)
    else:
        chosen = _held([case_id for case_id, has_labels in labelled.items() if has_labels], split, held, dataset.url)
    seen = None if split is None else tuple(sorted(set(chosen) & set(split.training)))
    return Choice(tuple(chosen), "named" if names is not None else held or "validation", seen)


def split_of_model(url: str, bundle: Bundle, dataset: Dataset) -> Split | None:
    """The split of ``dataset`` that a model was trained with; None if nothing tells.

    A model in its run's folder has the run's record beside it; elsewhere its recipe may name the cases. A run on a
    dataset of another name says nothing: its case ids may be other scans, and its scans may have other ids.
    """
    folder = run_of_model(url)
    if folder is not None:
        record = folder.record()
        return record.split if record.dataset == dataset.name else None
    plan = bundle.recipe.training
    if plan.training_cases is None or plan.validation_cases is None:
        return None
    return Split(tuple(sorted(plan.training_cases)), tuple(sorted(plan.validation_cases)))


def run_of_model(url: str) -> RunFolder | None:
    """The folder of the run that a model lies in; None if it was moved away from it."""
    store = open_store(url)
    if not store.url.endswith(f"/{MODEL}"):
        return None
    folder = RunFolder(open_store(store.url.removesuffix(f"/{MODEL}")))
    try:
        folder.record()
    except BadInput:
        return None
    return folder


def seconds_per_step(url: str) -> float | None:
    """Wall time of a training step: the median between lines of the log of the run that a model lies in."""
    folder = run_of_model(url)
    lines = [line for line in folder.metrics() if line["kind"] == "train"] if folder else []
    rates = [(b["elapsed_s"] - a["elapsed_s"]) / (b["step"] - a["step"]) for a, b in itertools.pairwise(lines)]
    return statistics.median(rates) if rates else None


def _named(names: Sequence[str], labelled: dict[str, bool], where: str) -> list[str]:
    wanted = sorted(set(names))
    unknown = [name for name in wanted if name not in labelled]
    if not wanted or unknown:
        raise BadInput(
            "unknown-case",
            f"the dataset has no case {name_some(unknown)}" if unknown else "no case is named",
            where=where,
            remedy=f"it has {name_some(sorted(labelled)) or 'none'}",
        )
    bare = [name for name in wanted if not labelled[name]]
    if bare:
        raise BadInput(
            "no-labels",
            f"{name_some(bare)} {'has' if len(bare) == 1 else 'have'} no labels to compare with",
            where=where,
            remedy="name cases with labels, or use osteon segment to look at the prediction",
        )
    return wanted


def _held(labelled: list[str], split: Split | None, held: Held | None, where: str) -> list[str]:
    if held != "all" and split is None:
        raise BadInput(
            "no-split",
            "the model does not say which cases were held out in its training",
            where=where,
            remedy="name cases by --cases, or take every labelled one by --split all",
        )
    chosen = set(labelled)
    if split is not None and held == "test":
        chosen -= {*split.training, *split.validation}
    elif split is not None and held != "all":
        chosen &= set(split.validation)
    if not chosen:
        raise BadInput(
            "no-cases",
            f"the dataset has no labelled case {_PLACES[held or 'validation']}",
            where=where,
            remedy="name cases by --cases, or take every labelled one by --split all",
        )
    return sorted(chosen)


_PLACES = {
    "validation": "that was held out in the model's training",
    "test": "outside of the model's training and validation",
    "all": "at all",
}


def name_some(names: Sequence[str]) -> str:
    """The first few names, and how many there are."""
    shown = ", ".join(names[:NUM_NAMED])
    return f"{shown}, … ({len(names)} in all)" if len(names) > NUM_NAMED else shown
