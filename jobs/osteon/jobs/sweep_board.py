"""Where every trial of a sweep stands, and which is started next. Knows no Ray: `osteon.jobs.sweep_tune` does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from osteon.jobs.sweep_folder import Outcome, TrialKey
from osteon.jobs.sweep_race import Decision, Race
from osteon.recipes.space import Configuration


class Proposals(Protocol):
    """Configurations, one after the other."""

    def next(self) -> Configuration | None:
        """The next one; None if there are no more."""
        ...

    def tell(self, configuration: Configuration, mean: float | None) -> None:
        """A configuration is over, with this mean Dice over its folds; None if every fold failed."""
        ...


@dataclass
class Standing:
    """Where one trial stands.

    Attributes:
        rungs: steps at which it is judged.
        level: rungs that it has reached.
        progress: share of the run that is done.
        dice: of its last validation.
        outcome: how it ended.
    """

    rungs: Sequence[int] = ()
    level: int = 0
    progress: float = 0.0
    dice: float | None = None
    outcome: Outcome | None = None


class Board:
    """All trials of a sweep.

    Args:
        proposals: where configurations come from.
        enter: a configuration's trials, with what is known of them from before; called once for each.
        stop: told of a trial that is given up, and its last Dice.
        race: who goes on at a rung.
        parallel: how many trials may be at once, now.

    Attributes:
        standings: of every trial so far.
        configurations: by id.
    """

    def __init__(
        self,
        proposals: Proposals,
        enter: Callable[[Configuration], Mapping[TrialKey, Standing]],
        stop: Callable[[TrialKey, float | None], Outcome],
        race: Race,
        parallel: Callable[[], int],
    ) -> None:
        self.race = race
        self.standings: dict[TrialKey, Standing] = {}
        self.configurations: dict[str, Configuration] = {}
        self._proposals, self._enter, self._stop, self._parallel = proposals, enter, stop, parallel
        self._queue: list[TrialKey] = []
        self._active: set[TrialKey] = set()
        self._paused: set[TrialKey] = set()
        self._told: set[str] = set()
        self._exhausted = False

    def next(self) -> TrialKey | None:
        """A trial to start now; None if none can be, or too many run already."""
        if not self.has_room or any(self.may_resume(key) for key in self._paused):
            return None
        while True:
            for key in list(self._queue):
                decision = self._decide(key)
                if decision == "stop":
                    self._give_up(key)
                if decision != "wait":
                    self._queue.remove(key)
                if decision == "go on":
                    self._active.add(key)
                    return key
            if not self._ask():
                return None

    @property
    def has_room(self) -> bool:
        """Whether one more trial may be at work now."""
        return len(self._active) < self._parallel()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to start."""
        return self._exhausted and not self._queue and not self._active and not self._paused

    def report(self, key: TrialKey, progress: float, rung: int | None, dice: float | None) -> Decision:
        """A trial has got so far; at a rung, it has stopped training at that step with this Dice."""
        standing = self.standings[key]
        standing.progress = progress
        if rung is None or dice is None:
            return "go on"
        standing.dice = dice
        standing.level = standing.rungs.index(rung) + 1
        self.race.record(key, standing.level - 1, dice)
        decision = self._decide(key)
        if decision == "wait":
            self._active.discard(key)
            self._paused.add(key)
        elif decision == "stop":
            self._give_up(key)
        return decision

    def may_resume(self, key: TrialKey) -> bool:
        """Whether a trial that waits at a rung may go on."""
        return key in self._paused and self._decide(key) == "go on"

    def resume(self, key: TrialKey) -> None:
        """A trial that waited goes on."""
        self._paused.discard(key)
        self._active.add(key)

    def beaten(self) -> list[TrialKey]:
        """Trials that wait at a rung which their configuration will not leave; they are given up."""
        lost = [key for key in self._paused if self._decide(key) == "stop"]
        for key in lost:
            self._give_up(key)
        return lost

    def end(self, key: TrialKey, outcome: Outcome) -> None:
        """A trial is over."""
        self._active.discard(key)
        self._paused.discard(key)
        self.standings[key].outcome = outcome
        self._tell(key.configuration)

    def means(self) -> dict[str, float]:
        """Mean Dice over the folds of every configuration that is done with all of them."""
        found = {}
        for configuration in self.configurations:
            outcomes = [self.standings[key].outcome for key in self._members(configuration)]
            dice = [each.dice for each in outcomes if each and each.status == "done" and each.dice is not None]
            if dice and len(dice) == len(outcomes):
                found[configuration] = sum(dice) / len(dice)
        return found

    @property
    def num_running(self) -> int:
        """Trials at work."""
        return len(self._active)

    def count(self, status: str) -> int:
        """Trials that ended so."""
        return sum(1 for each in self.standings.values() if each.outcome and each.outcome.status == status)

    def _ask(self) -> bool:
        """Take in the next configuration."""
        configuration = None if self._exhausted else self._proposals.next()
        if configuration is None:
            self._exhausted = True
            return False
        standings = self._enter(configuration)
        self.configurations[configuration.id] = configuration
        self.standings.update(standings)
        self._queue.extend(key for key, standing in standings.items() if standing.outcome is None)
        self._tell(configuration.id)
        return True

    def _members(self, configuration: str) -> list[TrialKey]:
        return [key for key in self.standings if key.configuration == configuration]

    def _decide(self, key: TrialKey) -> Decision:
        level = self.standings[key].level
        if level == 0:
            return "go on"
        members = [other for other in self._members(key.configuration) if not self._has_failed(other)]
        return self.race.decide(key.configuration, level - 1, members)

    def _has_failed(self, key: TrialKey) -> bool:
        outcome = self.standings[key].outcome
        return outcome is not None and outcome.status == "failed"

    def _give_up(self, key: TrialKey) -> None:
        self.end(key, self._stop(key, self.standings[key].dice))

    def _tell(self, configuration: str) -> None:
        """Let the search learn from a configuration once all its trials are over."""
        outcomes = [self.standings[key].outcome for key in self._members(configuration)]
        if configuration in self._told or None in outcomes:
            return
        self._told.add(configuration)
        dice = [each.dice for each in outcomes if each is not None and each.dice is not None]
        self._proposals.tell(self.configurations[configuration], sum(dice) / len(dice) if dice else None)
