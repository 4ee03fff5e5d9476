"""A tiny dataset and a tiny recipe: what training jobs are tested with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.train_plan import plan_run
from osteon.jobs.train_worker import WorkerTask, work
from osteon.recipes.recipe import load_recipe
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case
from osteon.training.team import Team

SHAPE = (20, 24, 22)
TABLE = table_for(["femur_left", "femur_right", "sacrum"])
RECIPE = """
name: tiny
model: {channels: [4, 6], num_auxiliary: 0}
sampling: {patch_shape: [8, 8, 8]}
optim: {learning_rate: 0.01}
training: {steps: 12, precision: float32, log_every: 1, checkpoint_every: 5, validate_every: 100, validation_share: 0}
inference: {window_shape: [16, 16, 16]}
"""


def write_dataset(url: str, cases: int) -> Dataset:
    """Cases ``case0`` … with three boxes of bone each (two in the last), at 1.5 mm."""
    dataset = Dataset.create(url, "tiny", TABLE)
    for number in range(cases):
        rng = np.random.default_rng(number)
        labels = np.zeros(SHAPE, np.uint8)
        labels[4:12, 3:9, 3:9] = TABLE.ids["femur_left"]
        labels[4:12, 3:9, 13:19] = TABLE.ids["femur_right"]
        if number < cases - 1 or cases == 1:
            labels[13:18, 14:20, 8:14] = TABLE.ids["sacrum"]
        image = np.choose(TABLE.class_of()[labels], [-50, 300, 700, 1100])
        image = (image + rng.normal(0, 40, SHAPE)).astype(np.int16)
        write_case(dataset, f"case{number}", image, labels, Grid(SHAPE, (1.5, 1.5, 1.5)))
    dataset.refresh()
    return Dataset.open(url)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three cases in a folder."""
    return write_dataset(str(tmp_path_factory.mktemp("data") / "tiny"), 3)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a recipe that trains twelve small steps."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return str(path)


@dataclass(frozen=True)
class Alone:
    """Training in this process, without Ray."""

    recipe: str
    dataset: Dataset

    def elsewhere(self, url: str) -> Alone:
        """The same on a copy of the dataset at another URL."""
        return replace(self, dataset=write_dataset(url, 3))

    def start(self, out: Path | str, *overrides: str) -> RunFolder:
        """Claim a folder for a run."""
        folder = RunFolder(open_store(str(out)))
        folder.claim(plan_run(load_recipe(self.recipe, overrides), self.dataset).record)
        return folder

    def go_on(self, folder: RunFolder) -> None:
        """Train to the end, from the last whole checkpoint."""
        task = WorkerTask(run=folder.store.url, dataset=self.dataset.url, num_threads=torch.get_num_threads())
        work(task, Team(), torch.device("cpu"))

    def curve(self, folder: RunFolder) -> list[tuple[int, float]]:
        """Step and loss of every line."""
        return [(line["step"], line["loss"]) for line in folder.metrics() if line["kind"] == "train"]


@pytest.fixture
def alone(recipe: str, dataset: Dataset) -> Alone:
    """Trains the tiny recipe on the tiny dataset."""
    return Alone(recipe, dataset)


@pytest.fixture(scope="session")
def table() -> LabelTable:
    """The bones of the tiny dataset."""
    return TABLE
