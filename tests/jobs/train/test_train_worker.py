"""Training on one worker without Ray: the loss curve over interruptions, validation, what is written."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.data.augment import AugmentSpec
from osteon.inference.backends import open_backend
from osteon.inference.in_memory import InMemoryVolume
from osteon.inference.segmenter import Segmenter
from osteon.jobs.train_worker import dice_of_case, new_trainer, num_threads
from osteon.models.unet3d import UNet3d
from osteon.recipes.recipe import load_recipe
from osteon.storage.dataset import Dataset
from osteon.training.team import Team
from osteon.training.trainer import Trainer


class Killed(BaseException):
    """Stands for a process that is gone."""


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the optimiser's step after ``step`` others the last thing this process does."""
    original = Trainer.train_step

    def step_or_die(trainer: Trainer, *arguments: Any) -> Any:
        if trainer.step == step:
            raise Killed
        return original(trainer, *arguments)

    monkeypatch.setattr(Trainer, "train_step", step_or_die)


@pytest.mark.parametrize(("said", "threads"), [(None, 4), ("2", 2), ("8", 4)])
def test_a_worker_computes_with_the_processors_that_it_holds(
    monkeypatch: pytest.MonkeyPatch, said: str | None, threads: int
) -> None:
    holds = SimpleNamespace(get_assigned_resources=lambda: {"CPU": 4.0})
    monkeypatch.setattr("ray.get_runtime_context", lambda: holds)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert num_threads() == threads


def test_run_leaves_metrics_and_checkpoints(alone: Any, tmp_path: Path) -> None:
    folder = alone.start(tmp_path)
    alone.go_on(folder)
    assert [step for step, _ in alone.curve(folder)] == list(range(1, 13))
    assert [manifest.step for manifest in folder.checkpoints.manifests()] == [10, 12]
    assert list((tmp_path / "tensorboard").iterdir())


def test_loss_curve_over_interruptions_is_the_unbroken_one(
    alone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = alone.start(tmp_path / "unbroken")
    alone.go_on(unbroken)
    broken = alone.start(tmp_path / "broken")
    for step in (3, 8, 11):  # before the first checkpoint, after it, after the second
        with monkeypatch.context() as patch:
            kill_at(patch, step)
            with pytest.raises(Killed):
                alone.go_on(broken)
    alone.go_on(broken)
    assert alone.curve(broken) == alone.curve(unbroken)


def test_a_torn_checkpoint_is_passed_over_and_the_curve_is_still_the_same(
    alone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unbroken = alone.start(tmp_path / "unbroken")
    alone.go_on(unbroken)
    broken = alone.start(tmp_path / "broken")
    with monkeypatch.context() as patch:
        kill_at(patch, 11)
        with pytest.raises(Killed):
            alone.go_on(broken)
    newest = tmp_path / "broken" / "checkpoints" / "step-000000010" / "state.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.warns(RuntimeWarning, match="torn-checkpoint"):
        alone.go_on(broken)
    assert alone.curve(broken) == alone.curve(unbroken)


def test_seed_changes_the_curve_and_nothing_else_does(alone: Any, tmp_path: Path) -> None:
    curves = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        folder = alone.start(tmp_path / name, f"training.seed={seed}", "training.steps=3")
        alone.go_on(folder)
        curves.append(alone.curve(folder))
    assert curves[0] == curves[1] != curves[2]


def test_validation_is_of_whole_scans_and_marks_the_best(alone: Any, tmp_path: Path) -> None:
    folder = alone.start(
        tmp_path, "training.validation_cases=[case2, case0]", "training.validate_every=4", "training.keep_best=3"
    )
    alone.go_on(folder)
    judged = [line for line in folder.metrics() if line["kind"] == "validation"]
    assert [line["step"] for line in judged] == [4, 8, 12]
    for line in judged:
        bones = {name.removeprefix("dice/"): value for name, value in line.items() if name.startswith("dice/")}
        assert set(bones) == {"femur_left", "femur_right", "sacrum"}
        assert line["dice"] == pytest.approx(np.mean(list(bones.values())))
    best = folder.checkpoints.best()
    assert best is not None
    assert best[0].dice == max(line["dice"] for line in judged)


def test_learns_to_find_the_boxes_in_a_scan_it_never_saw(alone: Any, tmp_path: Path) -> None:
    plain = [f"augment.{name}.probability=0" for name in AugmentSpec.model_fields]
    larger = ["sampling.patch_shape=[16, 16, 16]", "model.channels=[8, 12]"]
    length = ["training.validation_cases=[case1]", "training.steps=350", "training.log_every=70"]
    folder = alone.start(tmp_path, *plain, *larger, *length)
    alone.go_on(folder)
    best = folder.checkpoints.best()
    assert best is not None
    assert best[0].dice is not None
    assert best[0].dice > 0.8


class Perfect(UNet3d):
    """Gives each voxel the class that its brightness is the number of."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes, (2, 2), 0)
        self.head = torch.nn.Conv3d(num_classes, num_classes, 1)
        with torch.no_grad():
            self.head.weight.copy_(torch.eye(num_classes)[..., None, None, None])
            self.head.bias.zero_()  # type: ignore[union-attr]  # a Conv3d has one by default

    def features(self, x_BCZYX: torch.Tensor) -> torch.Tensor:
        classes = torch.arange(self.num_classes, device=x_BCZYX.device)
        return -(x_BCZYX - classes[:, None, None, None]).abs()

    def forward(self, x_BCZYX: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x_BCZYX))
        return logits


class Case:
    """A scan whose brightness is the class found and whose labels are the truth, in memory."""

    def __init__(self, found: Any, truth: Any) -> None:
        self.grid = Grid(found.shape)
        self.zones = None
        self._image, self._labels = InMemoryVolume(found, self.grid), InMemoryVolume(truth, self.grid)

    num_levels = 1

    def image(self, level: int) -> InMemoryVolume:
        assert level == 0
        return self._image

    def labels(self) -> InMemoryVolume:
        return self._labels


def test_dice_is_of_bones_the_case_has_and_ignores_labels_not_learnt(recipe: str, table: LabelTable) -> None:
    shape = (16, 16, 16)
    found, truth = np.zeros(shape, np.int16), np.zeros(shape, np.uint8)
    found[:4] = 1  # class 1 is the sacrum
    truth[2:6] = table.ids["sacrum"]
    found[8] = 2  # a femur the case does not have
    truth[10] = 250  # a label the model does not know
    values = load_recipe(recipe, ["intensity.clip_hu=[-5, 5]", "intensity.std=1"])
    backend = open_backend(Perfect(4), "torch", (16, 16, 16))
    segmenter = Segmenter(backend, table, values.inference, values.intensity, values.grid, values.postprocess)
    case: Any = Case(found, truth)
    assert dice_of_case(segmenter, case) == {"sacrum": pytest.approx(0.5)}


def test_first_weights_depend_on_the_seed_alone(alone: Any, tmp_path: Path) -> None:
    record = alone.start(tmp_path).record()
    torch.manual_seed(99)
    one = new_trainer(record, Team(), torch.device("cpu"))
    torch.rand(5)
    other = new_trainer(record, Team(), torch.device("cpu"))
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_run_and_data_in_an_object_store_give_the_same_curve(
    alone: Any, tiny_dataset: Callable[[str, int], Dataset], tmp_path: Path, s3_url: str
) -> None:
    here = alone.start(tmp_path / "run", "training.steps=4")
    alone.go_on(here)
    there = alone.elsewhere(tiny_dataset(f"{s3_url}/data", 3))
    folder = there.start(f"{s3_url}/run", "training.steps=4", "training.checkpoint_every=2")
    there.go_on(folder)
    assert [manifest.step for manifest in folder.checkpoints.manifests()] == [2, 4]
    assert there.curve(folder) == alone.curve(here)
