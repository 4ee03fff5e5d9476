"""`osteon recipes`: the list, one recipe, and one derived from a dataset."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from osteon.cli.recipes import recipes
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.recipes.recipe import load_recipe, packaged_recipes, parse_recipe
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """One case of 40 x 48 x 44 voxels with a bone of 300 HU."""
    dataset = Dataset.create(str(tmp_path / "data"), "hips", table_for(["sacrum"]))
    labels = np.zeros((40, 48, 44), np.uint8)
    labels[10:20, 10:30, 10:30] = dataset.table.ids["sacrum"]
    image = np.where(labels > 0, 300, -50).astype(np.int16)
    image[12] += 7
    write_case(dataset, "one", image, labels, Grid(labels.shape, (1.0, 1.0, 1.0)))
    dataset.refresh()
    return dataset


def test_lists_every_packaged_recipe() -> None:
    lines = CliRunner().invoke(recipes, []).output.splitlines()
    assert tuple(line.split()[0] for line in lines) == packaged_recipes()


def test_prints_a_recipe_planned_from_a_dataset(dataset: Dataset) -> None:
    done = CliRunner().invoke(recipes, ["nnunet", "--data", dataset.url])
    recipe = parse_recipe(done.output, where="output")
    assert recipe.name == "nnunet-hips"
    assert recipe.sampling.patch_shape == (40, 48, 48)
    assert recipe.intensity.clip_hu == (300, 307)


def test_writes_it_to_a_file_but_never_over_one(dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "mine.yaml"
    done = CliRunner().invoke(recipes, ["nnunet", "--data", dataset.url, "--out", str(out), "--memory-gb", "16"])
    assert done.exit_code == 0
    assert load_recipe(str(out)).name == "mine"
    assert "1 case for 16 GB" in load_recipe(str(out)).description
    again = CliRunner().invoke(recipes, ["nnunet", "--data", dataset.url, "--out", str(out)])
    assert isinstance(again.exception, BadInput)
    assert again.exception.code == "file-exists"
