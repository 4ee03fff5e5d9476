"""`osteon prepare` as a person runs it: exit codes, the summary, a dry run."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from osteon.cli.main import app
from osteon.core.errors import OsteonError
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two scans of two boxes of bone; the second has no labels."""
    table = table_for(["femur_left", "femur_right"])
    dataset = Dataset.create(str(tmp_path / "source"), "source", table)
    grid = Grid((30, 20, 40), (2.0, 2.0, 2.0))
    ids = np.zeros(grid.shape, np.uint8)
    ids[5:25, 8:12, 28:32], ids[5:25, 8:12, 8:12] = table.ids["femur_left"], table.ids["femur_right"]
    hu = np.where(ids > 0, 700, 0).astype(np.int16)
    write_case(dataset, "good", hu, ids, grid)
    write_case(dataset, "plain", hu, None, grid)
    return tmp_path / "source"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "femurs.yaml"
    path.write_text("name: femurs\nprepare: {femurs: true}\n")
    return path


def osteon(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["prepare", *map(str, arguments), "--scheduler", "threads"])
    if isinstance(result.exception, OsteonError):
        raise result.exception
    return result


def test_some_quarantined(source: Path, recipe: Path, tmp_path: Path) -> None:
    result = osteon(source, tmp_path / "out", "--recipe", recipe)
    assert result.exit_code == 3, result.output
    assert "2 prepared, 1 quarantined" in result.stdout
    assert "plain: the bones have to be found first" in result.stdout
    assert "--labels-from" in result.stdout


def test_chosen_cases_and_values_for_machines(source: Path, recipe: Path, tmp_path: Path) -> None:
    options = ("--recipe", recipe, "--cases", "good", "--set", "prepare.spacing_mm=[1, 1, 1]", "--json")
    result = osteon(source, tmp_path / "out", *options)
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    assert [(case["case_id"], case["status"], case["spacing_mm"]) for case in summary["cases"]] == [
        ("good-left", "prepared", [1.0, 1.0, 1.0]),
        ("good-right", "prepared", [1.0, 1.0, 1.0]),
    ]


def test_labels_of_another_dataset_show_the_femurs(source: Path, recipe: Path, tmp_path: Path) -> None:
    (tmp_path / "rough" / "cases").mkdir(parents=True)
    (source / "cases" / "good.zarr").rename(tmp_path / "rough" / "plain.zarr")
    options = ("--recipe", recipe, "--cases", "plain", "--labels-from", tmp_path / "rough")
    assert "2 prepared" in osteon(source, tmp_path / "out", *options).stdout


def test_a_dry_run_writes_nothing(source: Path, recipe: Path, tmp_path: Path) -> None:
    result = osteon(source, tmp_path / "out", "--recipe", recipe, "--dry-run")
    assert "planned: good-left: " in result.stdout
    assert "voxels of 2 x 2 x 2 mm" in result.stdout
    assert not (tmp_path / "out").exists()


def test_nothing_done(source: Path, recipe: Path, tmp_path: Path) -> None:
    assert osteon(source, tmp_path / "out", "--recipe", recipe, "--cases", "plain").exit_code == 1


def test_a_recipe_that_prepares_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(OsteonError, match="nothing-to-prepare"):
        osteon(source, tmp_path / "out", "--recipe", "unet3d")
