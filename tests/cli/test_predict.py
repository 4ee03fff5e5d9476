"""`osteon predict` as a person runs it: the plan, exit codes, and what is refused before anything starts."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_model
from typer.testing import CliRunner, Result

from osteon.cli.main import app
from osteon.core.errors import OsteonError
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.jobs.predict_archive import Archive, PredictRequest
from osteon.jobs.predict_case import Predictor
from osteon.jobs.predict_ranges import Cutter
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A long scan and a short one."""
    dataset = Dataset.create(str(tmp_path / "archive"), "noise", LabelTable(()))
    for case_id, depth in (("long", 260), ("short", 20)):
        grid = Grid((depth, 24, 24), (2.0, 1.5, 1.5))
        write_case(dataset, case_id, np.full(grid.shape, 400, np.int16), None, grid)
    return tmp_path / "archive"


def osteon(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["predict", *map(str, arguments)])
    if isinstance(result.exception, OsteonError):
        raise result.exception
    return result


def test_a_dry_run_tells_how_scans_are_cut_and_writes_nothing(model: str, archive: Path, tmp_path: Path) -> None:
    words = (model, "--data", archive, "--out", tmp_path / "out", "--dry-run")
    cut = osteon(*words, "--concurrency", "1:8")
    assert cut.exit_code == 0, cut.output
    assert "planned: long: 5 ranges of planes" in cut.stdout
    assert "planned: short: whole" in cut.stdout
    assert "2 planned" in cut.stdout
    assert "planned: long: whole" in osteon(*words, "--concurrency", "8", "--z-split", "off").stdout
    assert "planned: long: whole" in osteon(*words).stdout
    assert not (tmp_path / "out").exists()


def test_an_archive_that_is_done_needs_no_worker(model: str, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = Archive.open(PredictRequest(model, str(archive), str(out), cases=("short",), backend="torch"))
    done.claim()
    [unit] = Cutter(done.card.recipe, done.source, done.out, is_keeping=True).units(done.candidates(), 1e9)
    assert Predictor.load(done.job).take(unit).error is None
    result = osteon(model, "--data", archive, "--out", out, "--cases", "short")
    assert result.exit_code == 0
    assert result.stdout.strip() == f"{Dataset.open(str(out)).url}: 1 skipped"
    summary = json.loads(osteon(model, "--data", archive, "--out", out, "--cases", "short", "--json").stdout)
    assert [(case["case_id"], case["code"]) for case in summary["cases"]] == [("short", "already-committed")]
    assert (summary["scans_per_hour"], summary["voxels"]) == (0, 0)


@pytest.mark.parametrize("workers", ["0", "3:2", "many"])
def test_workers_are_a_number_or_a_range(workers: str, model: str, archive: Path, tmp_path: Path) -> None:
    with pytest.raises(OsteonError, match="bad-workers"):
        osteon(model, "--data", archive, "--out", tmp_path / "out", "--concurrency", workers)


def test_what_is_not_there_is_told_before_anything_is_written(model: str, archive: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for code, words in {
        "no-model": (tmp_path, "--data", archive),
        "no-dataset": (model, "--data", tmp_path),
        "unknown-case": (model, "--data", archive, "--cases", "short,other"),
    }.items():
        with pytest.raises(OsteonError, match=code):
            osteon(*words, "--out", out)
    assert not out.exists()
