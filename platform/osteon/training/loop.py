"""One run of training: steps until the plan is fulfilled, with looks up in between.

Pure of Ray and of stores: batches come from an iterator, metrics and pauses go to callbacks.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch

from osteon.core.errors import OsteonError
from osteon.data.loader import Batch
from osteon.training.plan import TrainingSpec
from osteon.training.team import Team
from osteon.training.trainer import Step, Trainer

FOREVER = 1 << 40  # the last step asked of the loader when time decides


@dataclass(frozen=True)
class LogEntry:
    """Progress since the last entry; losses and norms are means, rates are sums, over all workers.

    Attributes:
        step: optimiser steps done.
        progress: share of the run that is done, 0 to 1.
        loss: mean training loss.
        gradient_norm: mean norm before clipping.
        learning_rate: of the last step.
        patches_per_s: patches trained on per second of step time (pauses left out).
        wait_share: share of step time spent waiting for data.
        elapsed_s: wall time trained so far, pauses included.
    """

    step: int
    progress: float
    loss: float
    gradient_norm: float
    learning_rate: float
    patches_per_s: float
    wait_share: float
    elapsed_s: float


class Hooks(Protocol):
    """What a run does besides stepping."""

    def prepare(self, batch: Batch, step: int) -> Batch:
        """Move to the device and augment, as a function of (batch, step) only."""
        ...

    def log(self, entry: LogEntry) -> None:
        """Take note of progress; called on every worker."""
        ...

    def pause(self, *, validate: bool) -> None:
        """Save a checkpoint, after validating if asked; called on every worker at the same step."""
        ...


def run(
    trainer: Trainer,
    batches: Callable[[int, int], Iterator[Batch]],
    plan: TrainingSpec,
    team: Team,
    hooks: Hooks,
    *,
    until: int | None = None,
) -> None:
    """Train from ``trainer.step`` to the end of the plan.

    Args:
        trainer: the state; fresh, or loaded from a checkpoint.
        batches: yields the batches of steps [start, stop).
        plan: length and rhythm.
        team: the other workers.
        hooks: augmentation, metrics, checkpoints.
        until: step to stop at, short of the end of the plan; one at which the plan validates.

    Raises:
        OsteonError: ``loss-not-finite``.
    """
    progress = _Progress(trainer, plan, team)
    meter = _Meter(plan.batch_size, team)
    stop = plan.steps if plan.minutes is None else FOREVER
    source = batches(trainer.step, stop) if trainer.step < stop else iter(())
    share = progress.now()
    while share < 1 and (until is None or trainer.step < until):
        with meter.waiting:
            batch = next(source)
        ready = hooks.prepare(batch, trainer.step)
        meter.add(trainer.train_step(ready.input_BVZYX, ready.labels, share))
        share = progress.now()
        if trainer.step % plan.log_every == 0 or share >= 1:
            hooks.log(meter.entry(trainer, share))
        with meter.paused:
            _maybe_pause(trainer.step, plan, hooks, done=share >= 1)


def _maybe_pause(step: int, plan: TrainingSpec, hooks: Hooks, *, done: bool) -> None:
    validate = done or step % plan.validate_every == 0
    if validate or step % plan.checkpoint_every == 0:
        hooks.pause(validate=validate)


class _Progress:
    """The share of the run that is done: by steps, or by the leader's clock."""

    def __init__(self, trainer: Trainer, plan: TrainingSpec, team: Team) -> None:
        self._trainer, self._plan, self._team = trainer, plan, team
        self._began = time.monotonic() - trainer.elapsed_s

    def now(self) -> float:
        self._trainer.elapsed_s = time.monotonic() - self._began
        if self._plan.minutes is None:
            return self._trainer.step / self._plan.steps
        # Everyone must use the same learning rate and stop at the same step.
        return min(1.0, self._team.agree(self._trainer.elapsed_s / (60 * self._plan.minutes), self._trainer.device))


class _Stopwatch:
    def __init__(self) -> None:
        self.total_s = 0.0

    def __enter__(self) -> None:
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.total_s += time.perf_counter() - self._began


class _Meter:
    """Sums up steps between two log entries."""

    def __init__(self, batch_size: int, team: Team) -> None:
        self._batch_size, self._team = batch_size, team
        self._restart()

    def _restart(self) -> None:
        self._steps: list[Step] = []
        self._began = time.perf_counter()
        self.waiting, self.paused = _Stopwatch(), _Stopwatch()

    def add(self, step: Step) -> None:
        self._steps.append(step)

    def entry(self, trainer: Trainer, progress: float) -> LogEntry:
        # Reading the numbers waits for the accelerator, so the clock is read after them.
        loss = float(torch.stack([step.loss for step in self._steps]).mean())
        norm = float(torch.stack([step.gradient_norm for step in self._steps]).mean())
        seconds = time.perf_counter() - self._began - self.paused.total_s
        mine = (loss, norm, self._batch_size * len(self._steps) / seconds, self.waiting.total_s / seconds)
        losses, norms, rates, waits = zip(*self._team.gather(mine), strict=True)
        entry = LogEntry(
            trainer.step,
            progress,
            _mean(losses),
            _mean(norms),
            self._steps[-1].learning_rate,
            sum(rates),
            _mean(waits),
            trainer.elapsed_s,
        )
        self._restart()
        if not math.isfinite(entry.loss):
            raise OsteonError(
                "loss-not-finite",
                f"the loss became {entry.loss} by step {entry.step}",
                remedy="lower optim.learning_rate, or set optim.gradient_clip",
            )
        return entry


def _mean(values: tuple[float, ...]) -> float:
    return sum(values) / len(values)
