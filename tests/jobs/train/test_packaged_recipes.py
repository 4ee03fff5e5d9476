"""Every recipe that comes packaged trains on a phantom, goes on after being killed, and segments a scan.

The numbers of the network are made tiny and the patch as small as the network takes; all else is the recipe's own.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_networks import TINY

from osteon.core.geometry import Index3
from osteon.data.phantom import phantom
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.train import save_model
from osteon.jobs.train_plan import plan_run
from osteon.jobs.train_worker import WorkerTask, work
from osteon.models.build import SPECS
from osteon.models.network import NetworkSpec
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.recipes.recipe import load_recipe, packaged_recipes
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case
from osteon.training.team import Team
from osteon.training.trainer import Trainer

STEPS = 3


class Killed(BaseException):
    """Stands for a process that is gone."""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Two phantoms of six bones at 8 mm."""
    url = str(tmp_path_factory.mktemp("phantoms") / "data")
    made = [phantom(seed=1, case=number, bones=6, spacing_mm=(8.0, 8.0, 8.0)) for number in range(2)]
    dataset = Dataset.create(url, "phantoms", made[0].table)
    for number, each in enumerate(made):
        write_case(dataset, f"case{number}", each.hu, each.labels, each.grid)
    dataset.refresh()
    return Dataset.open(url)


def small_patch(spec: NetworkSpec) -> Index3:
    """Two strides along every axis: less leaves the deepest maps of some networks a single voxel."""
    z, y, x = (2 * side for side in spec.stride)
    spec.check_shape((z, y, x))
    return (z, y, x)


def overrides(name: str) -> tuple[str, ...]:
    recipe = load_recipe(name)
    kind = recipe.model.architecture
    numbers = {"architecture": kind, **TINY[kind]}
    if recipe.model.num_contexts:
        numbers["contexts"] = recipe.model.num_contexts
    patch = list(small_patch(SPECS[kind].model_validate(numbers)))
    return (
        f"model={json.dumps(numbers)}",
        "grid.spacing_mm=null",
        "prepare={}",  # what it gives is tested on its own: here the dataset is taken as prepared
        f"sampling.patch_shape={patch}",
        f"inference.window_shape={patch}",
        "inference.overlap=0",
        "inference.batch_size=1",
        "training.batch_size=2",
        f"training.steps={STEPS}",
        "training.minutes=null",
        "training.log_every=1",
        "training.checkpoint_every=1",
        "training.validate_every=1000",
        "training.validation_cases=[case1]",
    )


@pytest.mark.parametrize("name", packaged_recipes())
def test_recipe_trains_resumes_and_segments(
    name: str, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(open_store(str(tmp_path / "run")))
    record = plan_run(load_recipe(name, overrides(name)), dataset).record
    folder.claim(record)
    task = WorkerTask(run=folder.store.url, dataset=dataset.url)
    step = Trainer.train_step

    def step_or_die(trainer: Trainer, *arguments: Any) -> object:
        if trainer.step == STEPS - 1:
            raise Killed
        return step(trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", step_or_die)
        with pytest.raises(Killed):
            work(task, Team(), torch.device("cpu"))
    work(task, Team(), torch.device("cpu"))

    lines = folder.metrics()
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, STEPS + 1))
    assert all(np.isfinite(line["loss"]) for line in lines if line["kind"] == "train")
    assert [line["step"] for line in lines if line["kind"] == "validation"] == [STEPS]
    save_model(folder, record)
    case = dataset.case("case1")
    found = segmenter_of(load_bundle(folder.model.url)).segment(case.image(), case.zones)
    assert found.shape == case.grid.shape
    assert set(np.unique(found).tolist()) <= {0, *record.labels}
