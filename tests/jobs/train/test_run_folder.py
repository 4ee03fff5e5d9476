"""A run's folder: claimed once, read back, metrics cut to a step."""

from pathlib import Path
from typing import Any

import pytest

from osteon.core.errors import BadInput, Conflict, CorruptData
from osteon.core.labels import LabelTable
from osteon.jobs.run_folder import RunFolder
from osteon.storage.stores import open_store


def test_record_comes_back(alone: Any, tmp_path: Path, table: LabelTable) -> None:
    folder = alone.start(tmp_path, "training.validation_cases=[case1]")
    record = folder.record()
    assert record.split.validation == ("case1",)
    assert record.table == table
    assert record.recipe.name == "tiny"


def test_a_folder_belongs_to_one_run(alone: Any, tmp_path: Path) -> None:
    folder = alone.start(tmp_path)
    with pytest.raises(Conflict, match="--resume") as refusal:
        folder.claim(folder.record())
    assert refusal.value.code == "run-exists"


def test_an_empty_folder_holds_no_run(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refusal:
        RunFolder(open_store(str(tmp_path))).record()
    assert refusal.value.code == "no-run"


def test_a_damaged_record_is_named(alone: Any, tmp_path: Path) -> None:
    folder = alone.start(tmp_path)
    path = tmp_path / "run.json"
    path.write_text(path.read_text().replace('"steps": 12', '"steps": -1'))
    with pytest.raises(CorruptData, match=r"recipe\.training\.steps"):
        folder.record()


def test_metrics_are_cut_after_a_step(tmp_path: Path) -> None:
    folder = RunFolder(open_store(str(tmp_path)))
    assert folder.metrics() == []
    folder.write_metrics([{"step": step, "loss": 0.5} for step in (1, 2, 3)])
    assert [line["step"] for line in folder.metrics()] == [1, 2, 3]
    assert [line["step"] for line in folder.metrics(up_to_step=2)] == [1, 2]
