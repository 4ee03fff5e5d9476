"""Training without Ray, what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from osteon.jobs.run_folder import RunFolder
from osteon.jobs.train_plan import plan_run
from osteon.jobs.train_worker import WorkerTask, work
from osteon.recipes.recipe import load_recipe
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.training.team import Team


@dataclass(frozen=True)
class Alone:
    """Training in this process, without Ray."""

    recipe: str
    dataset: Dataset

    def elsewhere(self, dataset: Dataset) -> Alone:
        """The same on another dataset."""
        return replace(self, dataset=dataset)

    def start(self, out: Path | str, *overrides: str) -> RunFolder:
        """Claim a folder for a run."""
        folder = RunFolder(open_store(str(out)))
        folder.claim(plan_run(load_recipe(self.recipe, overrides), self.dataset).record)
        return folder

    def go_on(self, folder: RunFolder) -> None:
        """Train to the end, from the last whole checkpoint."""
        task = WorkerTask(run=folder.store.url, dataset=self.dataset.url)
        work(task, Team(), torch.device("cpu"))

    def curve(self, folder: RunFolder) -> list[tuple[int, float]]:
        """Step and loss of every line."""
        return [(line["step"], line["loss"]) for line in folder.metrics() if line["kind"] == "train"]


@pytest.fixture
def alone(recipe: str, dataset: Dataset) -> Alone:
    """Trains the tiny recipe on the tiny dataset."""
    return Alone(recipe, dataset)
