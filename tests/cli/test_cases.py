import json
from pathlib import Path

import numpy as np
import typer
from typer.testing import CliRunner

from osteon.cli.cases import cases
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

app = typer.Typer()
app.command()(cases)


def _dataset(folder: Path) -> Dataset:
    dataset = Dataset.create(str(folder), "hips", table_for(["sacrum", "hip_left"]))
    labels = np.zeros((6, 10, 8), np.uint8)
    labels[2:4] = dataset.table.ids["sacrum"]
    grid = Grid(labels.shape, (2.5, 0.7, 0.7))
    write_case(dataset, "one", np.ones(labels.shape, np.int16), labels, grid)
    write_case(dataset, "two", np.zeros(labels.shape, np.int16), None, grid)
    return dataset


def test_lists_what_is_committed(tmp_path: Path) -> None:
    _dataset(tmp_path)
    done = CliRunner().invoke(app, [str(tmp_path)])
    assert done.exit_code == 0
    one, two = (line.split() for line in done.output.splitlines()[1:3])
    assert one[:8] == ["one", "6", "10", "8", "2.5", "0.7", "0.7", "1"]
    assert two[:8] == ["two", "6", "10", "8", "2.5", "0.7", "0.7", "-"]
    assert "hips: 2 cases" in done.output


def test_gives_the_catalog_to_machines(tmp_path: Path) -> None:
    dataset = _dataset(tmp_path)
    rows = json.loads(CliRunner().invoke(app, [str(tmp_path), "--json"]).output)
    assert [row["case_id"] for row in rows] == ["one", "two"]
    assert rows[0]["labels"] == [dataset.table.ids["sacrum"]]


def test_refuses_what_is_no_dataset(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, [str(tmp_path)])
    assert isinstance(done.exception, BadInput)
    assert done.exception.code == "no-dataset"
