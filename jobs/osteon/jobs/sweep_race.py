"""Which configurations go on at a rung: by their mean over folds, never fold against fold. Knows numbers only."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection
from typing import Literal

import numpy as np

from osteon.jobs.sweep_folder import TrialKey
from osteon.recipes.sweep import SchedulerSpec
from osteon.training.plan import TrainingSpec

Decision = Literal["go on", "wait", "stop"]


def rungs_of(spec: SchedulerSpec, plan: TrainingSpec) -> tuple[int, ...]:
    """The steps at which a run is judged: those of its validations that follow grace, grace · reduction, … of it."""
    if spec.kind == "none":
        return ()
    steps: list[int] = []
    share = spec.grace
    while (step := math.ceil(round(share * plan.steps / plan.validate_every, 6)) * plan.validate_every) < plan.steps:
        if step not in steps:
            steps.append(step)
        share *= spec.reduction
    return tuple(steps)


class Race:
    """The Dice of every trial at every rung, and what follows.

    Args:
        spec: the rule.
    """

    def __init__(self, spec: SchedulerSpec) -> None:
        self._spec = spec
        self._dice: dict[tuple[str, int], dict[TrialKey, float]] = {}
        self._decided: dict[tuple[str, int], Decision] = {}
        self._means: dict[int, list[float]] = {}

    @property
    def has_rungs(self) -> bool:
        """Whether anybody is ever judged before the end."""
        return self._spec.kind != "none"

    def record(self, key: TrialKey, rung: int, dice: float) -> None:
        """A trial reached a rung."""
        self._dice.setdefault((key.configuration, rung), {})[key] = dice

    def decide(self, configuration: str, rung: int, members: Collection[TrialKey]) -> Decision:
        """Whether a configuration goes on from a rung.

        Args:
            configuration: its id.
            rung: from 0.
            members: its trials that have not failed; until all are there, those that are have to wait.
        """
        place = (configuration, rung)
        if place in self._decided:
            return self._decided[place]
        dice = self._dice.get(place, {})
        if not members or any(key not in dice for key in members):
            return "wait"
        mean = statistics.fmean(dice[key] for key in members)
        before = self._means.setdefault(rung, [])
        self._decided[place] = "go on" if mean >= self._bar([*before, mean]) else "stop"
        before.append(mean)
        return self._decided[place]

    def _bar(self, means: list[float]) -> float:
        """What a mean must reach, given those seen at its rung, its own the last of them."""
        if self._spec.kind == "asha":  # Li et al. 2020, arXiv:1810.05934, algorithm 2
            return float(np.quantile(means, 1 - 1 / self._spec.reduction))
        others = means[:-1]  # Golovin et al. 2017, "Google Vizier", section 3.2.2
        return statistics.median(others) if others else -math.inf
