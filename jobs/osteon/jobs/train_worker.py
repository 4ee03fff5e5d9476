"""What every training worker runs: opens its share of the data and goes on from the run's last whole checkpoint.

Depends on URLs only, never on the folder the command was started in.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import Any

import numpy as np
import ray
import ray.train
import ray.train.torch
import torch
from pydantic import BaseModel, ConfigDict

from osteon.core.errors import OsteonError, StoreError
from osteon.core.labels import LabelTable
from osteon.core.volume import TrainingCase
from osteon.data.augment import augment, generator_for
from osteon.data.loader import Batch, PatchLoader
from osteon.data.sampling import PatchSampler
from osteon.evaluation.overlap import dice_per_class
from osteon.inference.backends import Backend, open_backend
from osteon.inference.segmenter import Segmenter
from osteon.jobs.counters import count
from osteon.jobs.pretrained import start_from_weights
from osteon.jobs.run_folder import RunFolder, RunRecord
from osteon.jobs.tracking import MLflowTarget, Tracking
from osteon.models.build import build
from osteon.models.network import Network
from osteon.recipes.recipe import Recipe
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.telemetry.metrics import COMPUTING_SECONDS, TRAIN_PATCHES, TRAIN_STEPS, WAITING_SECONDS
from osteon.training.loop import LogEntry, run
from osteon.training.team import Team
from osteon.training.trainer import Trainer


class WorkerTask(BaseModel):
    """What a worker is told; everything else is in the run's folder.

    Attributes:
        run: URL of the run's folder.
        dataset: URL of the dataset.
        mlflow: where it is logged too, or None.
        until: step to stop at, with a checkpoint; None for the end of the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str
    dataset: str
    mlflow: MLflowTarget | None = None
    until: int | None = None


def train_worker(config: dict[str, Any]) -> OsteonError | None:
    """Train to the end of the run's plan; called by Ray Train on every worker, again after each failure.

    Args:
        config: the fields of a `WorkerTask`.

    Returns:
        What makes the run impossible, if a worker alone finds it: after what is raised Ray would only try again.
    """
    task, team = WorkerTask.model_validate(config), Team()
    torch.set_num_threads(num_threads())
    try:
        work(task, team, ray.train.torch.get_device())
    except StoreError:
        raise
    except OsteonError as error:
        if team.size > 1:  # the others wait for this one, until it is seen to fail
            raise
        return error
    return None


def num_threads() -> int:
    """As many as the processors that this worker of Ray's holds, or what OMP_NUM_THREADS says if that is less."""
    held = int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))
    return min(held, int(os.environ.get("OMP_NUM_THREADS", held)))


def work(task: WorkerTask, team: Team, device: torch.device) -> None:
    """The same without Ray: one member of ``team``, on ``device``."""
    folder = RunFolder(open_store(task.run))
    record = folder.record()
    plan = record.recipe.training
    found = folder.checkpoints.latest()
    trainer = new_trainer(record, team, device, from_weights=found is None)
    if found is not None:
        trainer.load_state_dict(found[1])
    if len(set(team.gather(trainer.step))) > 1:
        raise OsteonError("resume-disagrees", "workers found different checkpoints", where=task.run)
    dataset = Dataset.open(task.dataset)
    loader = open_loader(dataset, record, team, device)
    if not team.leads:
        run(trainer, loader, plan, team, _Session(record, dataset, trainer, team), until=task.until)
        return
    with Tracking(folder, from_step=trainer.step, mlflow=task.mlflow) as tracking:
        session = _LeadingSession(record, dataset, trainer, team, folder, tracking)
        run(trainer, loader, plan, team, session, until=task.until)


def new_trainer(record: RunRecord, team: Team, device: torch.device, *, from_weights: bool = False) -> Trainer:
    """The state at step 0: the same weights on every worker and in every attempt.

    Args:
        record: of the run.
        team: the other workers.
        device: where to train.
        from_weights: put in the weights that the recipe starts from, if any; needless where a checkpoint follows.
    """
    recipe = record.recipe
    torch.manual_seed(recipe.training.seed)
    network = build(recipe.model, num_classes=len(record.labels) + 1)
    if from_weights:
        start_from_weights(recipe, network)
    return Trainer(network, recipe.loss, recipe.optim, device=device, precision=recipe.training.precision, team=team)


def open_loader(dataset: Dataset, record: RunRecord, team: Team, device: torch.device) -> PatchLoader:
    """This worker's patches; a step's patches depend on the seed, the rank and the number of workers."""
    recipe, plan = record.recipe, record.recipe.training
    cases = [dataset.case(case_id) for case_id in record.training]
    sampler = PatchSampler(cases, recipe.sampling, record.table, plan.seed, team.rank, team.size)
    return PatchLoader(
        cases,
        sampler,
        recipe.grid,
        recipe.intensity,
        record.table,
        plan.batch_size,
        num_threads=plan.loader_threads,
        prefetch=plan.prefetch,
        num_contexts=recipe.model.num_contexts,
        context_labels=recipe.model.supervises_contexts,
        device=device,
    )


class _Session:
    """What a run does besides stepping, on a worker that does not lead."""

    def __init__(self, record: RunRecord, dataset: Dataset, trainer: Trainer, team: Team) -> None:
        self._record, self._dataset, self._trainer, self._team = record, dataset, trainer, team
        self._table = record.table

    def prepare(self, batch: Batch, step: int) -> Batch:
        """Augment, by a generator of this step's own."""
        recipe = self._record.recipe
        generator = generator_for(recipe.training.seed, self._team.rank, step)
        return augment(batch, recipe.augment, self._table, generator)

    def log(self, entry: LogEntry) -> None:
        """The leader takes note."""

    def pause(self, *, validate: bool) -> None:
        """Help with the validation; the leader saves."""
        if validate:
            self.validate()

    def validate(self) -> dict[str, float]:
        """Mean Dice over the validation cases by bone name, for bones that a case has; cases are shared out."""
        mine = self._record.validation[self._team.rank :: self._team.size]
        scores: dict[str, list[float]] = {}
        if mine:
            segmenter = segmenter_in_training(self._trainer.judged, self._record.recipe, self._table)
            for case_id in mine:
                for name, dice in dice_of_case(segmenter, self._dataset.case(case_id)).items():
                    scores.setdefault(name, []).append(dice)
        everyone = self._team.gather(scores)
        names = sorted({name for scores in everyone for name in scores})
        return {name: float(np.mean([dice for scores in everyone for dice in scores.get(name, [])])) for name in names}


class _LeadingSession(_Session):
    """The worker that also keeps the numbers and the checkpoints."""

    def __init__(
        self,
        record: RunRecord,
        dataset: Dataset,
        trainer: Trainer,
        team: Team,
        folder: RunFolder,
        tracking: Tracking,
    ) -> None:
        super().__init__(record, dataset, trainer, team)
        self._folder, self._tracking = folder, tracking
        self._counted = trainer.step

    def log(self, entry: LogEntry) -> None:
        """Add a line to the metrics, and to what Prometheus is told."""
        self._count(entry)
        values = asdict(entry)
        self._tracking.add("train", values.pop("step"), values)

    def pause(self, *, validate: bool) -> None:
        """Validate, save, forget what need not be kept."""
        step, dice = self._trainer.step, None
        scores = self.validate() if validate else {}
        if scores:
            dice = float(np.mean(list(scores.values())))
            self._tracking.add("validation", step, {"dice": dice, **{f"dice/{name}": v for name, v in scores.items()}})
        self._folder.checkpoints.save(self._trainer.state_dict(), step=step, dice=dice)
        self._folder.checkpoints.prune(keep_best=self._record.recipe.training.keep_best)
        self._tracking.flush()

    def _count(self, entry: LogEntry) -> None:
        steps, self._counted = entry.step - self._counted, entry.step
        patches = steps * self._record.recipe.training.batch_size * self._team.size
        seconds = self._team.size * patches / entry.patches_per_s  # of each worker; the rate is of all together
        count(TRAIN_STEPS, steps)
        count(TRAIN_PATCHES, patches)
        count(COMPUTING_SECONDS, seconds, "train")
        count(WAITING_SECONDS, seconds * entry.wait_share, "train")


def segmenter_in_training(network: Network, recipe: Recipe, table: LabelTable) -> Segmenter:
    """The network as it stands, ready for whole scans."""
    return Segmenter(
        _backend(network, recipe), table, recipe.inference, recipe.intensity, recipe.grid, recipe.postprocess
    )


def dice_of_case(segmenter: Segmenter, case: TrainingCase) -> dict[str, float]:
    """Dice by name of the bones of the segmenter's table that the case has."""
    levels = [case.image(level) for level in range(case.num_levels)]
    found = segmenter.segment(levels[0], case.zones, levels=levels)
    truth = case.labels().read((0, 0, 0), case.grid.shape).result()
    class_of = np.zeros(1 + max(int(found.max()), int(truth.max()), segmenter.table.labels[-1].id), np.uint16)
    known = segmenter.table.class_of()
    class_of[: len(known)] = known
    dice = dice_per_class(class_of[found], class_of[truth], len(segmenter.table) + 1)
    present = np.unique(class_of[truth])
    return {
        label.name: float(dice[number])
        for number, label in enumerate(segmenter.table.labels, start=1)
        if number in present
    }


def _backend(network: Network, recipe: Recipe) -> Backend:
    spec, device = recipe.inference, next(network.parameters()).device
    # Not compiled: the weights change before the next validation, and compiling takes longer than segmenting.
    return open_backend(network, "auto", spec.window_shape, spec.batch_size, device=str(device), compiled=False)
