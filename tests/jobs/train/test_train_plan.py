"""What a run will do, resolved from recipe and dataset."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.jobs.train_plan import TrainPlan, go_on, plan_run
from osteon.recipes.recipe import load_recipe
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case


def plan(recipe: str, dataset: Dataset, *overrides: str) -> TrainPlan:
    return plan_run(load_recipe(recipe, overrides), dataset)


def test_model_numbers_only_bones_of_training_cases(recipe: str, dataset: Dataset) -> None:
    full = plan(recipe, dataset, "training.validation_cases=[case2]")
    assert list(full.record.labels.values()) == ["sacrum", "femur_left", "femur_right"]
    partial = plan(recipe, dataset, "training.training_cases=[case2]", "training.validation_cases=[case0]")
    assert list(partial.record.labels.values()) == ["femur_left", "femur_right"]
    assert partial.unseen == ("sacrum",)
    assert partial.num_parameters == full.num_parameters - (4 + 1)  # one class less in the head


def test_an_ensemble_is_not_trained(recipe: str, dataset: Dataset) -> None:
    with pytest.raises(BadInput, match=r"not-trainable.*train its member instead.*unet3d"):
        plan(
            recipe, dataset, "model={architecture: ensemble, members: 2, member: {channels: [4, 8], num_auxiliary: 0}}"
        )


def test_split_is_kept_in_the_record(recipe: str, dataset: Dataset) -> None:
    record = plan(recipe, dataset, "training.validation_share=0.4").record
    assert len(record.validation) == 1
    assert {*record.training, *record.validation} == {"case0", "case1", "case2"}


def test_folds_are_read_from_nnunet_splits(recipe: str, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "splits_final.json"
    folds = [{"train": ["case0"], "val": ["case1"]}, {"train": ["case1", "case2"], "val": ["case0"]}]
    path.write_text(json.dumps(folds))
    record = plan(recipe, dataset, f"training.splits={path}", "training.fold=1").record
    assert (record.training, record.validation) == (("case1", "case2"), ("case0",))


@pytest.mark.parametrize("text", ["{", "[1]", '[{"train": []}]', None])
def test_other_files_are_no_splits(recipe: str, dataset: Dataset, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "splits_final.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(BadInput) as refusal:
        plan(recipe, dataset, f"training.splits={path}")
    assert refusal.value.code == "bad-splits"
    assert str(path) in str(refusal.value)


def test_cases_without_labels_are_left_out(recipe: str, tmp_path: Path) -> None:
    dataset = Dataset.create(str(tmp_path / "mixed"), "mixed", table_for(["sacrum"]))
    shape = (8, 8, 8)
    labels = np.full(shape, dataset.table.labels[0].id, np.uint8)
    write_case(dataset, "with", np.zeros(shape, np.int16), labels, Grid(shape))
    write_case(dataset, "without", np.ones(shape, np.int16), None, Grid(shape))
    assert plan(recipe, dataset).record.training == ("with",)


def test_a_dataset_without_bones_is_refused(recipe: str, tmp_path: Path) -> None:
    dataset = Dataset.create(str(tmp_path / "empty"), "empty", table_for(["sacrum"]))
    write_case(dataset, "empty", np.zeros((8, 8, 8), np.int16), np.zeros((8, 8, 8), np.uint8), Grid((8, 8, 8)))
    with pytest.raises(BadInput) as refusal:
        plan(recipe, dataset)
    assert refusal.value.code == "no-bones"


def test_resuming_under_another_recipe_is_refused_by_key(recipe: str, dataset: Dataset) -> None:
    kept = plan(recipe, dataset).record
    assert go_on(plan(recipe, dataset).record, kept, "run") == kept
    changed: Any = plan(recipe, dataset, "training.steps=99", "optim.ema_decay=0.5").record
    with pytest.raises(BadInput, match=r"optim\.ema_decay, training\.steps differ") as refusal:
        go_on(changed, kept, "run")
    assert refusal.value.code == "other-recipe"


def test_a_run_may_be_asked_to_last_longer_but_not_shorter(recipe: str, dataset: Dataset) -> None:
    kept = plan(recipe, dataset).record
    longer = go_on(plan(recipe, dataset, "training.steps=99").record, kept, "run")
    assert longer.recipe.training.steps == 99
    assert longer.split == kept.split
    for shorter in ("training.steps=3", "training.minutes=60"):
        with pytest.raises(BadInput, match="differ"):
            go_on(plan(recipe, dataset, shorter).record, kept, "run")
    hour = plan(recipe, dataset, "training.minutes=60").record
    assert go_on(plan(recipe, dataset, "training.minutes=90").record, hour, "run").recipe.training.minutes == 90
    with pytest.raises(BadInput, match="differ"):
        go_on(plan(recipe, dataset, "training.minutes=30").record, hour, "run")
