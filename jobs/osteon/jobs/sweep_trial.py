"""One trial, as Ray Tune runs it: Ray Train on the fold's training cases, then an evaluation on its validation cases.

Whatever a trial leaves lies in its run's folder, so a trial that is begun again goes on from its last checkpoint.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import ray
from pydantic import BaseModel, ConfigDict
from ray import tune

from osteon.core.errors import OsteonError
from osteon.evaluation.comparison import case_dice
from osteon.evaluation.report import REPORT_JSON
from osteon.evaluation.summary import Report
from osteon.jobs.evaluate import evaluate
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.sweep_folder import REPORT, Outcome, SweepFolder, TrialKey
from osteon.jobs.sweep_resources import Hold
from osteon.jobs.tracking import MLflowTarget
from osteon.jobs.train import save_model
from osteon.jobs.train_fit import fit
from osteon.jobs.train_share import Share
from osteon.jobs.train_worker import WorkerTask
from osteon.recipes.bundle import has_bundle
from osteon.storage.stores import open_store

MAX_RETRIES = 2  # of an evaluation whose process or node was lost


class TrialOrder(BaseModel):
    """What a trial is told; everything else is in its run's folder.

    Attributes:
        sweep: URL of the sweep's folder.
        dataset: URL of the dataset.
        key: which trial.
        hold: what it holds.
        rungs: steps at which it is judged beside its siblings, and may have to wait for them.
        mlflow: where it is logged too, or None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    sweep: str
    dataset: str
    key: TrialKey
    hold: Hold
    rungs: tuple[int, ...] = ()
    mlflow: MLflowTarget | None = None


def run_trial(config: dict[str, Any]) -> None:
    """Train and evaluate; tells Tune how far it is, and leaves how it ended in the sweep's folder.

    Args:
        config: the fields of a `TrialOrder`.
    """
    order = TrialOrder.model_validate(config)
    folder = SweepFolder(open_store(order.sweep))
    run = folder.run(order.key)
    began = time.monotonic()
    error = dice = None
    try:
        _train(order, run)
        dice = _evaluated(order, run)
    except Exception as failure:  # whatever it is, it ends this trial and no other
        error = _told(failure)
    outcome = Outcome(
        status="failed" if error else "done",
        error=error,
        dice=dice,
        seconds=round(max(time.monotonic() - began, seconds_trained(run)), 3),
        cpus=order.hold.all_cpus,
        gpus=order.hold.all_gpus,
    )
    folder.write_outcome(order.key, outcome)


def seconds_trained(run: RunFolder) -> float:
    """Wall time a run has trained, over all interruptions."""
    lines = [line for line in run.metrics() if line["kind"] == "train"]
    return float(lines[-1]["elapsed_s"]) if lines else 0.0


def dice_from(run: RunFolder, step: int) -> float | None:
    """Mean Dice of a run's first validation at or after a step."""
    lines = (line for line in run.metrics() if line["kind"] == "validation" and line["step"] >= step)
    return next((float(line["dice"]) for line in lines), None)


def _train(order: TrialOrder, run: RunFolder) -> None:
    """Train from rung to rung. Tune may end this process while it is told of one: nothing runs below it then."""
    share = Share(order.hold.workers, order.hold.cpus, order.hold.gpus)
    for until in (*order.rungs, None):
        if has_bundle(run.model):
            return
        if until is not None and dice_from(run, until) is not None:
            continue
        task = WorkerTask(run=run.store.url, dataset=order.dataset, mlflow=order.mlflow, until=until)
        fit(task, share, _reporter(run))
        if until is not None:
            tune.report(_progress(run) | {"rung": until, "dice": dice_from(run, until)})
    save_model(run, run.record())


def _reporter(run: RunFolder) -> Callable[[], None]:
    """Tells Tune when the metrics have grown."""
    told: dict[str, float] = {}

    def look() -> None:
        nonlocal told
        found = _progress(run)
        if found != told:
            tune.report(found)
        told = found

    return look


def _progress(run: RunFolder) -> dict[str, float]:
    lines = [line for line in run.metrics() if line["kind"] == "train"]
    return {key: lines[-1][key] for key in ("progress", "loss", "patches_per_s")} if lines else {"progress": 0.0}


def _evaluated(order: TrialOrder, run: RunFolder) -> float | None:
    """Mean Dice, over bones and then over the fold's validation cases; the report lies beside the run."""
    report = ray.get(evaluate_on_cluster(run.model.url, order.dataset, f"{run.store.url}/{REPORT}", order.hold))
    means = case_dice(report).values()
    return statistics.fmean(means) if means else None


def evaluate_on_cluster(
    model: str, dataset: str, out: str, hold: Hold, cases: Sequence[str] | None = None
) -> ray.ObjectRef[Report]:
    """Begin an evaluation (see `evaluate_once`) that holds what a training worker holds."""
    task: Any = ray.remote(evaluate_once).options(
        num_cpus=hold.cpus,
        num_gpus=hold.gpus,
        max_retries=MAX_RETRIES,
        scheduling_strategy="DEFAULT",  # not inside the next to nothing that a trial itself holds
    )
    begun: ray.ObjectRef[Report] = task.remote(model, dataset, out, cases)
    return begun


def evaluate_once(model: str, dataset: str, out: str, cases: Sequence[str] | None = None) -> Report:
    """The evaluation in ``out``, made if it is not there: of named cases, or of those that the model's run held out."""
    store = open_store(out)
    if store.exists(REPORT_JSON):
        return Report.model_validate_json(store.read_bytes(REPORT_JSON))
    folder, name = store.parent_and_name
    folder.delete(name)  # what an interrupted evaluation left
    return evaluate(model, dataset, cases, out)


def _told(failure: Exception) -> str:
    """One line for people: a refusal of ours, also one that a Ray task raised, or what kind of error it was."""
    cause = failure.cause if isinstance(failure, ray.exceptions.RayTaskError) else failure
    return str(cause) if isinstance(cause, OsteonError) else f"{type(cause).__name__}: {cause}"
