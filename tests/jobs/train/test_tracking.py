"""Where numbers go: metrics.jsonl and TensorBoard events, in a folder or in S3."""

import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from osteon.core.errors import BadInput
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.tracking import MLflowTarget, Tracking, check_mlflow
from osteon.storage.stores import open_store


def scalars(folder: Path, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder))
    events.Reload()
    return [(event.step, round(event.value, 4)) for event in events.Scalars(tag)]


def test_numbers_are_in_both_places(tmp_path: Path) -> None:
    folder = RunFolder(open_store(str(tmp_path)))
    with Tracking(folder, from_step=0, mlflow=None) as tracking:
        tracking.add("train", 1, {"loss": 0.5})
        tracking.add("validation", 1, {"dice": 0.25})
    assert folder.metrics() == [
        {"kind": "train", "step": 1, "loss": 0.5},
        {"kind": "validation", "step": 1, "dice": 0.25},
    ]
    assert scalars(tmp_path / "tensorboard", "train/loss") == [(1, 0.5)]
    assert scalars(tmp_path / "tensorboard", "validation/dice") == [(1, 0.25)]


def test_what_came_after_the_checkpoint_is_forgotten_on_resume(tmp_path: Path) -> None:
    folder = RunFolder(open_store(str(tmp_path)))
    with Tracking(folder, from_step=0, mlflow=None) as tracking:
        for step in (1, 2, 3):
            tracking.add("train", step, {"loss": float(step)})
    with Tracking(folder, from_step=2, mlflow=None) as tracking:
        tracking.add("train", 3, {"loss": 30.0})
    assert [line["loss"] for line in folder.metrics()] == [1.0, 2.0, 30.0]
    assert scalars(tmp_path / "tensorboard", "train/loss") == [(1, 1.0), (2, 2.0), (3, 30.0)]


def test_flushed_numbers_outlive_a_killed_process(tmp_path: Path) -> None:
    folder = RunFolder(open_store(str(tmp_path)))
    with Tracking(folder, from_step=0, mlflow=None) as tracking:
        tracking.add("train", 1, {"loss": 0.5})
        tracking.add("train", 2, {"loss": 0.4})
        tracking.flush()
        assert len(folder.metrics()) == 2
        assert scalars(tmp_path / "tensorboard", "train/loss") == [(1, 0.5), (2, 0.4)]


def test_numbers_reach_an_object_store(s3_url: str) -> None:
    folder = RunFolder(open_store(s3_url))
    with Tracking(folder, from_step=0, mlflow=None) as tracking:
        tracking.add("train", 1, {"loss": 0.5})
    assert folder.metrics()[0]["loss"] == 0.5
    assert [name for name in folder.store.list() if name.startswith("tensorboard/events")]


def test_mlflow_gets_the_numbers_of_one_run_over_interruptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    target = MLflowTarget(uri=(tmp_path / "mlruns").as_uri(), experiment="run", parent="whole")
    folder = RunFolder(open_store(str(tmp_path / "run")))
    for step in (1, 2):
        with Tracking(folder, from_step=step - 1, mlflow=target) as tracking:
            tracking.add("train", step, {"loss": 1.0 / step})
            tracking.add("validation", step, {"dice": 0.5, "dice/sacrum": 0.5})
    client = mlflow.MlflowClient(tracking_uri=target.uri)
    runs = client.search_runs([client.get_experiment_by_name("run").experiment_id])
    assert len(runs) == 1
    assert runs[0].data.tags["mlflow.parentRunId"] == "whole"
    assert [metric.value for metric in client.get_metric_history(runs[0].info.run_id, "train.loss")] == [1.0, 0.5]
    assert {"validation.dice", "validation.dice.sacrum"} <= runs[0].data.metrics.keys()


def test_mlflow_is_refused_before_training_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(BadInput) as refusal:
        check_mlflow()
    assert refusal.value.code == "no-mlflow"
