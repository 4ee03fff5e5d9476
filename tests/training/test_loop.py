"""A run: its length, its rhythm, what it reports, and that a resumed one is the unbroken one."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import torch

from osteon.core.errors import OsteonError
from osteon.data.loader import Batch
from osteon.training.loop import LogEntry, run
from osteon.training.plan import TrainingSpec
from osteon.training.team import Team
from osteon.training.trainer import Trainer

NewTrainer = Callable[..., Trainer]
Batches = Callable[[int, int], Iterator[Batch]]


@dataclass
class Notes:
    """Hooks that remember."""

    trainer: Trainer
    entries: list[LogEntry] = field(default_factory=list)
    pauses: list[tuple[int, bool]] = field(default_factory=list)
    prepared: list[int] = field(default_factory=list)
    states: dict[int, dict[str, Any]] = field(default_factory=dict)

    def prepare(self, batch: Batch, step: int) -> Batch:
        self.prepared.append(step)
        return batch

    def log(self, entry: LogEntry) -> None:
        self.entries.append(entry)

    def pause(self, *, validate: bool) -> None:
        self.pauses.append((self.trainer.step, validate))


@dataclass
class Clock:
    """Time that passes only when a test says so."""

    now_s: float = 0.0

    def monotonic(self) -> float:
        return self.now_s

    def perf_counter(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("osteon.training.loop.time", clock)
    return clock


def plan(**values: Any) -> TrainingSpec:
    return TrainingSpec.model_validate({"steps": 6, "log_every": 1, **values})


def train(trainer: Trainer, batches: Batches, spec: TrainingSpec) -> Notes:
    notes = Notes(trainer)
    run(trainer, batches, spec, Team(), notes)
    return notes


def test_run_ends_after_its_steps_and_pauses_in_rhythm(new_trainer: NewTrainer, batches: Batches) -> None:
    notes = train(new_trainer(), batches, plan(steps=7, checkpoint_every=2, validate_every=4))
    assert notes.prepared == list(range(7))
    assert notes.pauses == [(2, False), (4, True), (6, False), (7, True)]


def test_progress_and_learning_rate_follow_the_steps(new_trainer: NewTrainer, batches: Batches) -> None:
    notes = train(new_trainer(learning_rate=1.0, schedule="poly", warmup=0), batches, plan(steps=4))
    assert [entry.progress for entry in notes.entries] == [0.25, 0.5, 0.75, 1.0]
    assert [entry.learning_rate for entry in notes.entries] == pytest.approx([(1 - k / 4) ** 0.9 for k in range(4)])


def test_entries_are_means_since_the_last(new_trainer: NewTrainer, batches: Batches) -> None:
    each = train(new_trainer(), batches, plan())
    thirds = train(new_trainer(), batches, plan(log_every=3))
    assert [entry.step for entry in thirds.entries] == [3, 6]
    expected = [sum(entry.loss for entry in each.entries[k : k + 3]) / 3 for k in (0, 3)]
    assert [entry.loss for entry in thirds.entries] == pytest.approx(expected, rel=1e-5)


def test_resumed_loss_curve_is_the_unbroken_one(new_trainer: NewTrainer, batches: Batches) -> None:
    unbroken = train(new_trainer(), batches, plan(steps=9))
    broken = new_trainer()
    states = {}

    class Saving(Notes):
        def pause(self, *, validate: bool) -> None:
            super().pause(validate=validate)
            states[self.trainer.step] = self.trainer.state_dict()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(broken, batches, plan(steps=9, checkpoint_every=5), Team(), Saving(broken))
    resumed = new_trainer()
    resumed.load_state_dict(states[5])
    rest = train(resumed, batches, plan(steps=9))
    assert [entry.loss for entry in rest.entries] == [entry.loss for entry in unbroken.entries[5:]]


def test_finished_run_does_nothing_more(new_trainer: NewTrainer, batches: Batches) -> None:
    trainer = new_trainer()
    train(trainer, batches, plan(steps=2))
    notes = train(trainer, batches, plan(steps=2))
    assert (notes.prepared, notes.pauses) == ([], [])


def test_minutes_end_the_run_and_drive_the_schedule(new_trainer: NewTrainer, clock: Clock) -> None:
    def endless(start: int, stop: int) -> Iterator[Batch]:
        assert stop > start + 10**9
        batch = Batch(torch.randn(1, 1, 8, 8, 8), torch.randint(0, 3, (1, 8, 8, 8)), ())
        while True:
            clock.now_s += 6
            yield batch

    trainer = new_trainer(schedule="poly", warmup=0, learning_rate=0.01)
    notes = train(trainer, endless, plan(minutes=1, steps=1, batch_size=1))
    assert trainer.elapsed_s == 60
    assert notes.pauses == [(10, True)]
    assert [entry.progress for entry in notes.entries] == pytest.approx([k / 10 for k in range(1, 11)])
    assert [entry.learning_rate for entry in notes.entries] == pytest.approx(
        [0.01 * (1 - k / 10) ** 0.9 for k in range(10)]
    )


def test_time_of_earlier_attempts_counts(new_trainer: NewTrainer, batches: Batches) -> None:
    trainer = new_trainer()
    trainer.elapsed_s = 3600.0
    assert train(trainer, batches, plan(minutes=60)).prepared == []


def test_waiting_for_data_is_told_apart_from_working(new_trainer: NewTrainer, batches: Batches, clock: Clock) -> None:
    def slow(start: int, stop: int) -> Iterator[Batch]:
        for batch in batches(start, stop):
            clock.now_s += 0.2
            yield batch

    class Working(Notes):
        def prepare(self, batch: Batch, step: int) -> Batch:
            clock.now_s += 0.6
            return super().prepare(batch, step)

    notes = Working(new_trainer())
    run(notes.trainer, slow, plan(log_every=6), Team(), notes)
    assert notes.entries[0].wait_share == pytest.approx(0.25)
    assert notes.entries[0].patches_per_s == pytest.approx(plan().batch_size / 0.8)


def test_pauses_do_not_count_as_step_time(new_trainer: NewTrainer, batches: Batches, clock: Clock) -> None:
    class Resting(Notes):
        def prepare(self, batch: Batch, step: int) -> Batch:
            clock.now_s += 0.1
            return super().prepare(batch, step)

        def pause(self, *, validate: bool) -> None:
            super().pause(validate=validate)
            clock.now_s += 0.5

    resting = Resting(new_trainer())
    run(resting.trainer, batches, plan(checkpoint_every=1, log_every=6), Team(), resting)
    assert resting.entries[0].patches_per_s == pytest.approx(plan().batch_size / 0.1)
    assert resting.entries[0].elapsed_s == pytest.approx(6 * 0.1 + 5 * 0.5)


def test_a_loss_that_is_no_number_stops_the_run(new_trainer: NewTrainer, batches: Batches) -> None:
    def spoilt(start: int, stop: int) -> Iterator[Batch]:
        return (replace(batch, image_BCZYX=batch.image_BCZYX * float("nan")) for batch in batches(start, stop))

    with pytest.raises(OsteonError, match="loss-not-finite"):
        train(new_trainer(), spoilt, plan())
