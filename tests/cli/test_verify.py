import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from osteon.cli.verify import verify
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

app = typer.Typer()
app.command()(verify)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dataset = Dataset.create(str(tmp_path), "test", LabelTable(()))
    write_case(dataset, "a", np.ones((4, 5, 6), np.int16), None, Grid((4, 5, 6)))
    return tmp_path


def test_sound_is_zero(folder: Path) -> None:
    done = CliRunner().invoke(app, [str(folder)])
    assert done.exit_code == 0
    assert "1 cases" in done.output
    assert "all sound; catalog missing (osteon verify --repair rebuilds it)" in done.output


def test_damage_is_one_and_named(folder: Path) -> None:
    shard = folder / "cases/a.zarr/0/c/0/0/0"
    data = bytearray(shard.read_bytes())
    data[20] ^= 1
    shard.write_bytes(data)
    done = CliRunner().invoke(app, [str(folder)], env={"COLUMNS": "200"})
    assert done.exit_code == 1
    assert "wrong-bytes" in done.output
    assert "chunk (0, 0, 0) of shard c/0/0/0" in done.output
    report = json.loads(CliRunner().invoke(app, [str(folder), "--json"]).output)
    assert [problem["key"] for problem in report["problems"]] == ["0/c/0/0/0"]


def test_repair_rebuilds_the_catalog(folder: Path) -> None:
    assert "catalog rebuilt" in CliRunner().invoke(app, [str(folder), "--repair"]).output
    assert "catalog fresh" in CliRunner().invoke(app, [str(folder)]).output


def test_leftovers_are_listed_and_no_damage(folder: Path) -> None:
    (folder / "cases/a.zarr/zarr.json").rename(folder / "cases/a.zarr/claim.json")
    done = CliRunner().invoke(app, [str(folder)])
    assert done.exit_code == 0
    assert "a: not committed" in done.output
