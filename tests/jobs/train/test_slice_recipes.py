"""The recipes of slice-wise and voting networks through the real path: train, stop, go on, and segment whole scans."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osteon.core.errors import BadInput
from osteon.recipes.recipe import load_recipe, packaged_recipes
from osteon.training.trainer import Trainer

SMALL = {
    "krawczyk2021-fcn32": ["model.channels=[4, 6, 8]", "model.hidden=8"],
    "krawczyk2021-fcn8": ["model.channels=[4, 6, 8]", "model.hidden=8"],
    "krawczyk2021-pspnet": ["model.channels=[4, 6, 8, 8]", "model.pyramid=8"],
    "krawczyk2021-segnet": ["model.channels=[4, 6]", "model.bottleneck=8"],
    "krawczyk2021-unet": ["model.channels=[4, 6, 8]", "model.decoder=[4, 6, 8]"],
    "krawczyk2021-unet-vgg16": ["model.decoder=[4, 6, 8, 8]"],
    "krawczyk2021-unet-resnet50": ["model.decoder=[4, 6, 8, 8]"],
    "saillard2023-multiaxial": ["model.channels=[4, 6, 8]"],
}
SLICES = ("sampling.patch_shape=[1, 32, 32]", "inference.window_shape=[1, 32, 32]", "training.batch_size=4")
BLOCKS = ("sampling.patch_shape=[16, 16, 16]", "inference.window_shape=[16, 16, 16]")
SHORT = (
    "grid.spacing_mm=null",
    "training.steps=4",
    "training.checkpoint_every=2",
    "training.log_every=1",
    "training.validation_cases=[case2]",
    "training.precision=float32",
)


def test_every_system_has_its_recipe() -> None:
    assert {name for name in packaged_recipes() if name.startswith("krawczyk2021-")} == SMALL.keys() - {
        "saillard2023-multiaxial"
    }
    assert "saillard2023-multiaxial" in packaged_recipes()


class Killed(BaseException):
    """Stands for a process that is gone."""


@pytest.mark.parametrize("name", list(SMALL))
def test_trains_resumes_and_segments(alone: Any, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lone = replace(alone, recipe=name)
    folder = lone.start(tmp_path, *SHORT, *(BLOCKS if name == "saillard2023-multiaxial" else SLICES), *SMALL[name])
    whole = Trainer.train_step

    def step_or_die(trainer: Trainer, *arguments: Any) -> Any:
        if trainer.step == 3:
            raise Killed
        return whole(trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "train_step", step_or_die)
        with pytest.raises(Killed):
            lone.go_on(folder)
    lone.go_on(folder)
    curve = lone.curve(folder)
    assert [step for step, _ in curve] == [1, 2, 3, 4]
    assert all(math.isfinite(loss) for _, loss in curve)
    (validation,) = [line for line in folder.metrics() if line["kind"] == "validation"]
    assert 0 <= validation["dice"] <= 1  # of a whole scan


def test_krawczyks_systems_differ_in_their_network_and_epochs_only() -> None:
    recipes = [load_recipe(name) for name in SMALL if name.startswith("krawczyk2021-")]
    kept = [
        recipe.model_dump(exclude={"name": True, "description": True, "model": True, "training": {"steps"}})
        for recipe in recipes
    ]
    assert all(each == kept[0] for each in kept)
    assert [recipe.training.steps for recipe in recipes] == [5120] * 5 + [15360] * 2


def test_weights_without_a_digest_are_refused_by_the_recipe() -> None:
    with pytest.raises(BadInput, match="pretrained and pretrained_sha256 go together"):
        load_recipe("krawczyk2021-unet-resnet50", ["model.pretrained=resnet50.pth"])
