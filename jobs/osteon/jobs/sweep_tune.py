"""A sweep's board as Ray Tune sees it: a searcher that starts trials, and a scheduler that lets them wait at rungs.

Tune runs trials, starts them again when a node is lost, and shows them in its dashboard. What is kept is kept by the
sweep's folder; Tune's own records go to scratch. Trials hold next to nothing themselves: what trains for them does.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from ray import tune
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from osteon.jobs.counters import count
from osteon.jobs.sweep_board import Board
from osteon.jobs.sweep_folder import Outcome, TrialKey
from osteon.jobs.sweep_race import Decision
from osteon.jobs.sweep_trial import TrialOrder, run_trial
from osteon.telemetry.metrics import TRIALS

MAX_LOSSES = 3  # times that a trial is started again after its node or process was lost
# A byte: Tune takes no nothing. Of a processor it could be no part, or the last worker that fits would wait for that.
NEXT_TO_NOTHING: dict[str, float] = {"memory": 1}
DECISIONS: dict[Decision, str] = {
    "go on": TrialScheduler.CONTINUE,
    "wait": TrialScheduler.PAUSE,
    "stop": TrialScheduler.STOP,
}


class _Unsaved:
    """What Tune may pickle of searcher and scheduler: nothing; the sweep's folder is what a sweep goes on from."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def save(self, checkpoint_path: str) -> None:
        """Nothing."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""


class BoardSearcher(_Unsaved, Searcher):
    """Starts what the board wants started.

    Args:
        board: where trials stand.
        order: what a trial is told.
        ended: how a trial ended.
    """

    def __init__(
        self, board: Board, order: Callable[[TrialKey], TrialOrder], ended: Callable[[TrialKey], Outcome]
    ) -> None:
        super().__init__()
        self._board, self._order, self._ended = board, order, ended
        self._keys: dict[str, TrialKey] = {}

    def suggest(self, trial_id: str) -> Any:
        """What the next trial is told; None for not now, FINISHED for never again."""
        key = self._board.next()
        if key is None:
            return Searcher.FINISHED if self._board.is_over else None
        self._keys[trial_id] = key
        return self._order(key).model_dump()

    def on_trial_complete(self, trial_id: str, *_: Any, **__: Any) -> None:
        """A trial is over: by itself, stopped by the scheduler, or because its process was lost too often."""
        key = self._keys.pop(trial_id)
        outcome = self._board.standings[key].outcome
        if outcome is None:
            outcome = self._ended(key)
            self._board.end(key, outcome)
        count(TRIALS, 1, outcome.status)


class BoardScheduler(_Unsaved, FIFOScheduler):
    """Lets a configuration's folds wait for each other where it is judged.

    Args:
        board: where trials stand.
    """

    def __init__(self, board: Board) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Ray leaves it untyped
        self._board = board

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """What the board decides; whom it beats with that is stopped."""
        decision = self._board.report(_key(trial), result["progress"], result.get("rung"), result.get("dice"))
        lost = set(self._board.beaten())
        for other in tune_controller.get_trials():
            if other.status == Trial.PAUSED and _key(other) in lost:
                tune_controller.stop_trial(other)
        return DECISIONS[decision]

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """A trial that waited and may go on, before any new one."""
        trials: list[Trial] = tune_controller.get_trials()
        for trial in trials:
            if trial.status == Trial.PAUSED and self._board.may_resume(_key(trial)):
                if not self._board.has_room:
                    return None
                self._board.resume(_key(trial))
                return trial
        return next((trial for trial in trials if trial.status == Trial.PENDING), None)

    def debug_string(self) -> str:
        """For Tune's own output, which is off."""
        return "mean over folds"


class _Quiet(TrialProgressCallback):
    """Takes the place of the one that prints a line for every trial, whatever the verbosity."""

    def _print(self, msg: str) -> None:
        del msg


def run_board(board: Board, order: Callable[[TrialKey], TrialOrder], ended: Callable[[TrialKey], Outcome]) -> None:
    """Run every trial of the board in the Ray that is there."""
    os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")
    os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
    with tempfile.TemporaryDirectory(prefix="osteon-tune-", ignore_cleanup_errors=True) as scratch:
        tuner = tune.Tuner(
            tune.with_resources(run_trial, NEXT_TO_NOTHING),
            tune_config=tune.TuneConfig(
                search_alg=BoardSearcher(board, order, ended),
                scheduler=BoardScheduler(board),
                num_samples=-1,
                # The next trial need not import everything again. Not tried to its end: trials that wait at rungs.
                reuse_actors=not board.race.has_rungs,
                trial_dirname_creator=_name,
                trial_name_creator=_name,
            ),
            run_config=tune.RunConfig(
                name="sweep",
                storage_path=scratch,
                verbose=0,
                callbacks=[_Quiet()],
                failure_config=tune.FailureConfig(max_failures=MAX_LOSSES),
            ),
        )
        tuner.fit()


def _key(trial: Trial) -> TrialKey:
    return TrialKey.model_validate(trial.config["key"])


def _name(trial: Trial) -> str:
    return _key(trial).name
