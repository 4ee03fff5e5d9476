"""Cross-validation sweeps with Ray Tune: which network, loss or patch is best on these scans, and how sure that is.

Everything that a sweep keeps lies in its own folder (see `osteon.jobs.sweep_folder`): after the loss of any process or
machine, the driver's included, it goes on from there, and no trial that is over is run again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from osteon.core.errors import BadInput
from osteon.evaluation.sweep import SweepReport
from osteon.jobs.background import Background
from osteon.jobs.ray_session import ray_session
from osteon.jobs.sweep_best import judge_on_test
from osteon.jobs.sweep_board import Board, Standing
from osteon.jobs.sweep_folder import Outcome, Status, SweepFolder, SweepRecord, TrialKey
from osteon.jobs.sweep_plan import SweepPlan, num_configurations, plan_sweep, recipe_of, run_record
from osteon.jobs.sweep_race import Race, rungs_of
from osteon.jobs.sweep_resources import Hold, hold_of, num_parallel
from osteon.jobs.sweep_results import summary_of, write_results
from osteon.jobs.sweep_search import proposals_of
from osteon.jobs.sweep_trial import TrialOrder, dice_from, seconds_trained
from osteon.jobs.sweep_tune import run_board
from osteon.jobs.tracking import MLflow, MLflowTarget, check_mlflow
from osteon.recipes.space import Configuration
from osteon.recipes.sweep import SweepSpec, load_sweep
from osteon.storage.dataset import Dataset
from osteon.storage.patience import patience
from osteon.storage.stores import open_store
from osteon.telemetry.progress import Bar, progress_bar

POLL_S = 1.0


@dataclass(frozen=True)
class SweepRequest:
    """What to sweep.

    Attributes:
        sweep: name or path of the sweep's YAML.
        dataset: URL of the dataset.
        out: URL of the sweep's folder.
        resume: go on with the sweep in ``out``, if one was begun there.
        mlflow: tracking URI, or None.
    """

    sweep: str
    dataset: str
    out: str
    resume: bool = False
    mlflow: str | None = None


def preview(request: SweepRequest) -> SweepPlan:
    """What the request would do; nothing is written or started."""
    return plan_sweep(load_sweep(request.sweep), Dataset.open(request.dataset), request.sweep)


def sweep(request: SweepRequest, *, progress: bool = False) -> SweepReport:
    """Run every trial that is not over yet, judge the best configuration on the test set, write the results.

    Raises:
        OsteonError: whatever makes the sweep impossible; a trial that fails does not end it.
    """
    if request.mlflow is not None:
        check_mlflow()
    folder, dataset = SweepFolder(open_store(request.out)), Dataset.open(request.dataset)
    plan = None if request.resume and folder.exists() else preview(request)
    spec = load_sweep(request.sweep)
    with patience(), ray_session():
        hold = hold_of(spec.resources)
        record = _claim(folder, plan) if plan else _again(folder, spec, dataset)
        target = None if request.mlflow is None else _parent(request.mlflow, spec.name, folder)
        _run(_Sweep(folder, record, dataset.url, hold, target), progress=progress)
        best = summary_of(folder, record).best
        test = None
        if best is not None and record.test:
            test = judge_on_test(folder, record, best.configuration, dataset.url, hold)
        return write_results(folder, record, test)


def _run(work: _Sweep, *, progress: bool) -> None:
    board = work.board()
    total = num_configurations(work.record.spec) * len(work.record.keys(""))
    with progress_bar("sweeping", total, shown=progress) as bar:
        follow = _Follower(board, bar)
        trials = Background(lambda: run_board(board, work.order_of(board), work.outcome))
        trials.follow(POLL_S, follow.look)


class _Follower:
    """Turns a board into a progress line; a trial at work counts as far as it got."""

    def __init__(self, board: Board, bar: Bar) -> None:
        self._board, self._bar = board, bar
        self._done = 0.0

    def look(self) -> None:
        """Show what is new."""
        board = self._board
        standings = list(board.standings.values())
        done = sum(1.0 if each.outcome else each.progress for each in standings)
        counts = {status: board.count(status) for status in ("done", "stopped", "failed")}
        parts = [f"{number} {status}" for status, number in counts.items() if number]
        parts.append(f"{board.num_running} running")
        if means := board.means():
            best = max(means, key=lambda id_: means[id_])
            parts.append(f"best {means[best]:.3f} ({board.configurations[best].title})")
        self._bar.advance(done - self._done, " · ".join(parts))
        self._done = done


def _parent(uri: str, name: str, folder: SweepFolder) -> MLflowTarget:
    """Where the trials' MLflow runs belong: to one of the whole sweep."""
    target = MLflowTarget(uri=uri, experiment=name)
    parent = MLflow(target, folder.store.url)
    parent.close()
    return target.model_copy(update={"parent": parent.run_id})


def _claim(folder: SweepFolder, plan: SweepPlan) -> SweepRecord:
    folder.claim(plan.record, plan.folds)
    return plan.record


def _again(folder: SweepFolder, asked: SweepSpec, dataset: Dataset) -> SweepRecord:
    """The sweep that was started here; only where it runs may have changed."""
    kept = folder.record()
    changed = [key for key in type(asked).model_fields if getattr(asked, key) != getattr(kept.spec, key)]
    changed = [key for key in changed if key != "resources"]  # another cluster may carry it on
    if kept.dataset != dataset.name:
        changed.append(f"the dataset ({kept.dataset})")
    if changed:
        raise BadInput(
            "other-sweep",
            f"the sweep was started otherwise: {', '.join(changed)} differ",
            where=folder.store.url,
            remedy="resume with the same file and dataset, or choose another --out",
        )
    return kept.model_copy(update={"spec": asked, "dataset_url": dataset.url})


@dataclass(frozen=True)
class _Sweep:
    """A sweep at work."""

    folder: SweepFolder
    record: SweepRecord
    dataset: str
    hold: Hold
    mlflow: MLflowTarget | None

    def board(self) -> Board:
        """Where its trials stand."""
        spec = self.record.spec
        proposals = proposals_of(spec, self.folder.configurations())
        race = Race(spec.scheduler)
        parallel = partial(num_parallel, spec.resources, self.hold)
        return Board(proposals, partial(self._enter, race), self._stop, race, parallel)

    def _enter(self, race: Race, configuration: Configuration) -> dict[TrialKey, Standing]:
        """A configuration begins, or is found as far as it got."""
        self.folder.add_configuration(configuration)
        rungs = rungs_of(self.record.spec.scheduler, recipe_of(self.record.spec, configuration).training)
        return {key: self._standing(key, rungs, race) for key in self.record.keys(configuration.id)}

    def _standing(self, key: TrialKey, rungs: tuple[int, ...], race: Race) -> Standing:
        run = self.folder.run(key)
        outcome = self.folder.outcome(key)
        if outcome is not None and outcome.status == "failed":
            outcome = None
        reached = [dice for rung in rungs if (dice := dice_from(run, rung)) is not None]
        for rung, dice in enumerate(reached):
            race.record(key, rung, dice)
        return Standing(rungs, len(reached), outcome=outcome, dice=outcome.dice if outcome else None)

    def order_of(self, board: Board) -> Callable[[TrialKey], TrialOrder]:
        """What a trial is told; its run is claimed first, so that nothing is left to be resolved."""

        def order(key: TrialKey) -> TrialOrder:
            run = self.folder.run(key)
            if not run.exists():
                run.claim(run_record(self.record, board.configurations[key.configuration], key))
            return self._order(key, tuple(board.standings[key].rungs))

        return order

    def _order(self, key: TrialKey, rungs: tuple[int, ...]) -> TrialOrder:
        return TrialOrder(
            sweep=self.folder.store.url,
            dataset=self.dataset,
            key=key,
            hold=self.hold,
            rungs=rungs,
            mlflow=self.mlflow,
        )

    def _stop(self, key: TrialKey, dice: float | None) -> Outcome:
        """A trial is given up."""
        return self._ended(key, "stopped", dice=dice)

    def outcome(self, key: TrialKey) -> Outcome:
        """What a trial left; if it left nothing, its process died too often."""
        error = "its process was lost several times, perhaps for want of memory"
        return self.folder.outcome(key) or self._ended(key, "failed", error=error)

    def _ended(self, key: TrialKey, status: Status, *, dice: float | None = None, error: str | None = None) -> Outcome:
        outcome = Outcome(
            status=status,
            error=error,
            dice=dice,
            seconds=seconds_trained(self.folder.run(key)),
            cpus=self.hold.all_cpus,
            gpus=self.hold.all_gpus,
        )
        self.folder.write_outcome(key, outcome)
        return outcome
