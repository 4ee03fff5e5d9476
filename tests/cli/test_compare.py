"""`osteon compare`: from what `osteon evaluate` leaves to one page."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from osteon.cli.compare import compare
from osteon.core.errors import BadInput, Conflict, CorruptData
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.pictures import PLANES, Picture
from osteon.evaluation.report import write_report
from osteon.evaluation.summary import RunFacts, summarise

GRID = Grid((4, 6, 8))
TABLE = LabelTable.of({3: "sacrum", 7: "hip_left"})
runner = CliRunner()
app = Typer()
app.command()(compare)


def evaluation(folder: Path, recipe: str, found: int, *, pictured: bool = True) -> str:
    """An evaluation of two cases by a system that finds so many of eight columns."""
    reference, prediction = np.zeros((2, *GRID.shape), dtype=np.uint8)
    reference[1:3, :2], prediction[1:3, :2, :found] = 3, 3
    reference[1:3, 3:5], prediction[1:3, 3:5] = 7, 7
    cases = [compare_labels(prediction, reference, GRID, TABLE, case_id=name) for name in ("a", "b")]
    facts = RunFacts(
        model="m", model_digest="d", recipe=recipe, dataset="d", dataset_url="d", split="all", seen_in_training=None,
        unreadable={}, backend="torch", started="2026-01-01T00:00:00+00:00", seconds={"a": 0.5, "b": 1.5},
        num_parameters=2_500_000, seconds_per_step=0.25, unscored_model_bones=(), unscored_dataset_bones=(),
        versions={}, machine="m",
    )  # fmt: skip
    planes = tuple(Picture(plane, 1, 4, f"{recipe} {plane}".encode(), ()) for plane in PLANES)
    write_report(summarise(cases, facts), {"a": planes} if pictured else {}, str(folder))
    return str(folder)


def test_page_and_json_are_written(tmp_path: Path) -> None:
    systems = [evaluation(tmp_path / name, name, found) for name, found in (("plain", 4), ("wide", 8))]
    said = runner.invoke(app, [*systems, "--out", str(tmp_path / "out"), "--bones", "sacrum,hip_left"])
    assert said.exit_code == 0, said.output
    assert "plain" in said.output
    assert "comparison.html" in said.output
    page = (tmp_path / "out" / "comparison.html").read_text()
    assert page.count("data:image/png;base64,") == 6
    assert "wide − plain" in page
    found = json.loads((tmp_path / "out" / "comparison.json").read_text())
    plain, wide = found["systems"]
    assert (plain["name"], wide["dsc"]["mean"], wide["num_parameters"]) == ("plain", 1.0, 2_500_000)
    assert plain["dsc"]["mean"] == pytest.approx((2 / 3 + 1) / 2)
    assert (plain["images_per_second"], plain["ms_per_slice"], plain["seconds_per_step"]) == (1.0, 250.0, 0.25)
    assert [matrix["shares"][0][0] for matrix in found["confusion"]] == [0.5, 1.0]


def test_json_is_for_programs(tmp_path: Path) -> None:
    systems = [evaluation(tmp_path / name, "same", found, pictured=False) for name, found in (("x", 4), ("y", 8))]
    said = runner.invoke(app, [*systems, "--out", str(tmp_path / "out"), "--json"])
    assert [row["name"] for row in json.loads(said.stdout)["systems"]] == ["same (x)", "same (y)"]


def test_what_cannot_be_compared_is_refused_and_nothing_written(tmp_path: Path) -> None:
    one, other = (evaluation(tmp_path / name, name, 8) for name in ("one", "other"))
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "report.json").write_text("{}")
    out = str(tmp_path / "out")
    for places, kind, code in (
        ([one], BadInput, "too-few-runs"),
        ([one, one], BadInput, "same-run"),
        ([one, str(tmp_path / "nowhere")], BadInput, "no-report"),
        ([one, str(tmp_path / "torn")], CorruptData, "bad-report"),
    ):
        error = runner.invoke(app, [*places, "--out", out]).exception
        assert isinstance(error, kind)
        assert error.code == code
        assert not (tmp_path / "out").exists()
    assert runner.invoke(app, [one, other, "--out", out]).exit_code == 0
    again = runner.invoke(app, [one, other, "--out", out]).exception
    assert isinstance(again, Conflict)
    assert again.code == "comparison-exists"
