"""How long a run trains, how often it looks up, and on which cases: the numbers of a run, and its split."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from osteon.core.errors import BadInput


class TrainingSpec(BaseModel):
    """Length, rhythm, seeds and split of a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=10_000, ge=1, description="Optimiser steps of the run (not used when `minutes` is set).")
    minutes: float | None = Field(
        default=None, gt=0, description="Train for this wall time instead, validations included; null: count steps."
    )
    batch_size: int = Field(default=2, ge=1, description="Patches per step and worker.")
    precision: Literal["bf16", "float32"] = Field(
        default="bf16", description="bf16: the network computes in bfloat16 under autocast; the weights stay float32."
    )
    seed: int = Field(default=0, ge=0, description="Fixes first weights, split, patches and augmentation.")
    log_every: int = Field(default=10, ge=1, description="Steps between two lines of metrics.jsonl.")
    checkpoint_every: int = Field(default=250, ge=1, description="Steps between checkpoints, from which a run resumes.")
    validate_every: int = Field(
        default=1000, ge=1, description="Steps between validations on whole scans; one more follows the last step."
    )
    keep_best: int = Field(
        default=1, ge=1, description="Checkpoints kept for their validation Dice, besides the newest."
    )
    validation_share: float = Field(
        default=0.2, ge=0, lt=1, description="Share of the labelled cases held out for validation, drawn by the seed."
    )
    validation_cases: tuple[str, ...] | None = Field(
        default=None, description="Ids of the cases held out instead; [] trains on all, null draws `validation_share`."
    )
    training_cases: tuple[str, ...] | None = Field(
        default=None, description="Ids of the cases trained on; null: every labelled case that is not held out."
    )
    splits: str | None = Field(
        default=None, description="An nnU-Net splits_final.json whose fold is used instead; null: none."
    )
    fold: int = Field(default=0, ge=0, description="Which fold of `splits`.")
    loader_threads: int = Field(default=2, ge=1, description="Threads per worker that cut patches.")
    prefetch: int = Field(default=4, ge=1, description="Batches that are cut ahead.")

    @model_validator(mode="after")
    def _one_way_to_split(self) -> TrainingSpec:
        if self.splits is not None and (self.validation_cases is not None or self.training_cases is not None):
            raise ValueError("splits and training_cases/validation_cases both name the split: set only one")
        return self

    def lengthens(self, other: TrainingSpec) -> bool:
        """Whether this run lasts longer than the other, both told in steps or both in minutes."""
        if self.minutes is None or other.minutes is None:
            return self.minutes is other.minutes and self.steps > other.steps
        return self.minutes > other.minutes


@dataclass(frozen=True)
class Split:
    """Which cases a run learns from and which it is judged by; both sorted, without common cases."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


def split_cases(
    case_ids: Sequence[str],
    spec: TrainingSpec,
    folds: Sequence[tuple[Sequence[str], Sequence[str]]] = (),
    source_of: Mapping[str, str] | None = None,
) -> Split:
    """The split of the labelled cases ``case_ids``; a function of the ids, the recipe and its seed only.

    Args:
        case_ids: every case that could be used.
        spec: says which way the split is made.
        folds: (training, validation) ids of each fold of ``spec.splits``.
        source_of: the scan that a case was derived from, by case id: cases of one scan are drawn together. A case that
            is not named is its own.

    Raises:
        BadInput: ``no-cases``, ``no-fold``, ``unknown-case`` or ``split-overlap``.
    """
    if spec.splits is not None:
        if spec.fold >= len(folds):
            raise BadInput("no-fold", f"fold {spec.fold} is not among the {len(folds)} folds", where=spec.splits)
        training, validation = (sorted(set(ids)) for ids in folds[spec.fold])
    else:
        validation = _validation({case_id: (source_of or {}).get(case_id, case_id) for case_id in case_ids}, spec)
        rest = sorted(set(case_ids) - set(validation))
        training = rest if spec.training_cases is None else sorted(set(spec.training_cases))
    _check(training, validation, set(case_ids))
    return Split(tuple(training), tuple(validation))


def _validation(source_of: Mapping[str, str], spec: TrainingSpec) -> list[str]:
    if spec.validation_cases is not None:
        return sorted(set(spec.validation_cases))
    chosen = {source_of.get(case_id) for case_id in spec.training_cases or ()}
    sources = set(source_of.values())
    free = sorted(sources - chosen)
    if not spec.validation_share or len(sources) < 2:
        return []
    wanted = max(1, round(spec.validation_share * len(sources)))
    drawn = random.Random(spec.seed).sample(free, min(wanted, len(free) if chosen else len(free) - 1))
    return sorted(case_id for case_id, source in source_of.items() if source in drawn)


def _check(training: list[str], validation: list[str], known: set[str]) -> None:
    unknown = sorted({*training, *validation} - known)
    if unknown:
        raise BadInput(
            "unknown-case",
            f"the split names {', '.join(unknown[:5])}, which the dataset does not have with labels",
            remedy="list the dataset's cases in its catalog.parquet",
        )
    shared = sorted(set(training) & set(validation))
    if shared:
        raise BadInput("split-overlap", f"{', '.join(shared[:5])} would be both trained on and held out")
    if not training:
        raise BadInput("no-cases", "no labelled case is left to train on", remedy="lower training.validation_share")
