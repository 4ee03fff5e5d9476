"""Training with Ray Train: from a recipe and a dataset to a model, on one machine or a cluster.

Ray starts the workers, joins them and starts them again after a failure. What is kept is kept by the run's own folder
(see `osteon.jobs.run_folder`), so a run can be resumed from another machine, and by another number of workers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from osteon.core.errors import CorruptData
from osteon.jobs.ray_session import ray_session
from osteon.jobs.run_folder import RunFolder, RunRecord
from osteon.jobs.tracking import MLflowTarget, check_mlflow
from osteon.jobs.train_fit import fit
from osteon.jobs.train_plan import TrainPlan, go_on, plan_run
from osteon.jobs.train_share import ONE_WORKER, Share
from osteon.jobs.train_worker import WorkerTask, new_trainer
from osteon.recipes.bundle import has_bundle, save_bundle
from osteon.recipes.recipe import load_recipe
from osteon.storage.dataset import Dataset
from osteon.storage.patience import patience
from osteon.storage.stores import open_store
from osteon.telemetry.progress import Bar, progress_bar
from osteon.training.checkpoint import Loaded
from osteon.training.team import Team


@dataclass(frozen=True)
class TrainRequest:
    """What to train.

    Attributes:
        recipe: name or path.
        dataset: URL of the dataset.
        out: URL of the run's folder.
        overrides: ``key.subkey=value``.
        share: what the run may hold.
        resume: go on with the run in ``out``, if one was begun there.
        mlflow: tracking URI, or None.
    """

    recipe: str
    dataset: str
    out: str
    overrides: Sequence[str] = ()
    share: Share = ONE_WORKER
    resume: bool = False
    mlflow: str | None = None


@dataclass(frozen=True)
class TrainSummary:
    """What came of it.

    Attributes:
        run: URL of the run's folder.
        model: URL of the model.
        steps: optimiser steps done.
        elapsed_s: wall time trained.
        loss: the last one logged.
        dice: mean validation Dice of the model, or None without validation cases.
        best_step: the step whose weights became the model.
        num_parameters: of the network.
        bones: names of the bones it knows.
        patches_per_s: mean over the run.
        wait_share: mean share of step time spent waiting for data.
    """

    run: str
    model: str
    steps: int
    elapsed_s: float
    loss: float
    dice: float | None
    best_step: int
    num_parameters: int
    bones: tuple[str, ...]
    patches_per_s: float
    wait_share: float


def preview(request: TrainRequest) -> TrainPlan:
    """What the request would do; nothing is written or started."""
    return plan_run(load_recipe(request.recipe, request.overrides), Dataset.open(request.dataset))


def train(request: TrainRequest, *, progress: bool = False) -> TrainSummary:
    """Train, or go on training, and leave a MONAI bundle in ``out``/model.

    Raises:
        OsteonError: whatever makes the run impossible; a started run can be resumed afterwards.
    """
    if request.mlflow is not None:
        check_mlflow()
    plan = preview(request)
    folder = RunFolder(open_store(request.out))
    record = _claim(folder, plan.record, resume=request.resume)
    with patience():
        carry_out(folder, request.dataset, request.share, mlflow=request.mlflow, progress=progress)
        return _summarise(folder, record, plan.num_parameters)


def carry_out(
    folder: RunFolder, dataset: str, share: Share = ONE_WORKER, *, mlflow: str | None = None, progress: bool = False
) -> None:
    """Bring a claimed run to its end, from wherever it is, and leave its model."""
    if has_bundle(folder.model):
        return
    record = folder.record()
    target = None if mlflow is None else MLflowTarget(uri=mlflow, experiment=record.recipe.name)
    task = WorkerTask(run=folder.store.url, dataset=open_store(dataset).url, mlflow=target)
    _run(task, record, folder, share, progress=progress)
    save_model(folder, record)


def _claim(folder: RunFolder, asked: RunRecord, *, resume: bool) -> RunRecord:
    if not resume or not folder.exists():
        folder.claim(asked)
        return asked
    kept = folder.record()
    record = go_on(asked, kept, folder.store.url)
    if record != kept:
        folder.lengthen(record)
    return record


def _run(task: WorkerTask, record: RunRecord, folder: RunFolder, share: Share, *, progress: bool) -> None:
    plan = record.recipe.training
    total = plan.steps if plan.minutes is None else 60 * plan.minutes
    with ray_session():
        share.await_room()
        with progress_bar("training", total, shown=progress) as bar:
            fit(task, share, _Follower(folder, bar, "step" if plan.minutes is None else "elapsed_s").look)


class _Follower:
    """Turns the lines of metrics.jsonl into a progress line."""

    def __init__(self, folder: RunFolder, bar: Bar, measure: str) -> None:
        self._folder, self._bar, self._measure = folder, bar, measure
        self._done = 0.0

    def look(self) -> None:
        """Read what is new and show it."""
        lines = self._folder.metrics()
        steps = [line for line in lines if line["kind"] == "train"]
        if not steps:
            return
        last = steps[-1]
        judged = [line["dice"] for line in lines if line["kind"] == "validation"]
        dice = f" · Dice {judged[-1]:.3f}" if judged else ""
        note = f"step {last['step']} · loss {last['loss']:.3f}{dice} · {last['patches_per_s']:.1f} patches/s"
        self._bar.advance(last[self._measure] - self._done, f"{note} · data wait {last['wait_share']:.1%}")
        self._done = last[self._measure]


def save_model(folder: RunFolder, record: RunRecord) -> None:
    """Make the bundle from the best checkpoint: of highest validation Dice, or the newest without validation cases."""
    manifest, state = _best(folder)
    trainer = new_trainer(record, Team(), torch.device("cpu"))
    trainer.load_state_dict(state)
    metrics: dict[str, float] = {"step": manifest.step}
    if manifest.dice is not None:
        metrics["mean_dice"] = manifest.dice
    save_bundle(folder.model, "", record.recipe, record.table, trainer.judged, metrics)


def _best(folder: RunFolder) -> Loaded:
    found = folder.checkpoints.best()
    if found is None:
        raise CorruptData("no-checkpoint", "the run left no whole checkpoint", where=folder.store.url)
    return found


def _summarise(folder: RunFolder, record: RunRecord, num_parameters: int) -> TrainSummary:
    lines = [line for line in folder.metrics() if line["kind"] == "train"]
    best, _ = _best(folder)
    return TrainSummary(
        run=folder.store.url,
        model=folder.model.url,
        steps=lines[-1]["step"],
        elapsed_s=lines[-1]["elapsed_s"],
        loss=lines[-1]["loss"],
        dice=best.dice,
        best_step=best.step,
        num_parameters=num_parameters,
        bones=tuple(record.labels.values()),
        patches_per_s=_mean([line["patches_per_s"] for line in lines]),
        wait_share=_mean([line["wait_share"] for line in lines]),
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
