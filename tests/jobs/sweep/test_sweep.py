"""Whole sweeps through Ray Tune and Ray Train, unbroken and killed in the middle. Each is a process."""

import io
import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from processes import kill_tree
from ray_cluster import RayCluster
from typer.testing import CliRunner

from osteon.cli.main import app
from osteon.core.errors import BadInput
from osteon.jobs.sweep import SweepRequest, preview, sweep
from osteon.jobs.sweep_best import best_model
from osteon.jobs.sweep_folder import SweepFolder, TrialKey
from osteon.recipes.bundle import load_bundle
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store

TIMEOUT_S = 600
Start = Callable[..., subprocess.Popen[str]]
Written = Callable[..., str]


@pytest.fixture(scope="session")
def cases(tiny_dataset: Callable[[str, int], Dataset], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return tiny_dataset(str(tmp_path_factory.mktemp("data") / "tiny"), 6)


@pytest.fixture
def written(recipe: str, tmp_path: Path) -> Written:
    """Writes a sweep of the tiny recipe."""

    def write(**changes: object) -> str:
        values: dict[str, object] = {
            "name": "tiny",
            "recipe": recipe,
            "settings": {"training.steps": 24, "training.validate_every": 12, "training.checkpoint_every": 6},
            "space": {"optim.learning_rate": [0.02, 0.01]},
            "folds": {"count": 2, "test_share": 0.3},
        }
        path = tmp_path / "sweep.yaml"
        path.write_text(yaml.safe_dump(values | changes))
        return str(path)

    return write


@pytest.fixture
def start(cluster: RayCluster, cases: Dataset, launch: Start) -> Start:
    """Starts `osteon sweep` with a file and an output, on the cluster."""
    env = {**cluster.env, "RAY_ADDRESS": cluster.address}
    return lambda file, out, *more: launch("sweep", file, "--data", cases.url, "--out", out, "--json", *more, **env)


def finished(process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
    """The report that a sweep printed."""
    out, err = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == code, err
    report: dict[str, Any] = json.loads(out)
    return report


def table(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO((out / "results.parquet").read_bytes())).to_pylist()
    return rows


def outcomes(out: Path) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in out.glob("trials/*/outcome.json")}


@pytest.mark.slow
def test_a_killed_sweep_goes_on_to_the_same_table_and_its_best_is_a_model(
    start: Start, written: Written, tmp_path: Path
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    file = written(space={"optim.learning_rate": [0.02]}, resources={"parallel": 1})
    process, unbroken = start(file, broken), start(file, whole)
    while not outcomes(broken):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.05)
    kill_tree(process.pid)
    before = outcomes(broken)
    assert list(before) == ["c000-f0"]
    report = finished(unbroken)
    finished(start(file, broken, "--resume"))
    after = outcomes(broken)
    assert sorted(after) == ["c000-f0", "c000-f1"]
    assert after["c000-f0"] == before["c000-f0"]
    assert table(broken) == table(whole)

    assert [trial["status"] for trial in report["trials"]] == ["done"] * 2
    test = report["test"]
    assert test["cases"] == 2
    assert len(test["members"]) == 2
    assert test["gain"]["mean"] == pytest.approx(test["dice"]["mean"] - sum(test["members"]) / 2)
    assert "<html" in (whole / "sweep.html").read_text()

    folder = SweepFolder(open_store(str(whole)))
    chosen = best_model(str(whole), str(tmp_path / "model"))
    assert chosen.id == report["configurations"][0]["configuration"]
    bundle = load_bundle(str(tmp_path / "model"))
    assert bundle.network.num_voters == 2
    assert set(bundle.recipe.training.training_cases or ()) == set(folder.record().learnt)
    with pytest.raises(BadInput, match="choose among"):
        best_model(str(whole), str(tmp_path / "other"), configuration="c009")


@pytest.mark.slow
def test_what_is_beaten_at_a_rung_stops_and_what_fails_is_told(start: Start, written: Written, tmp_path: Path) -> None:
    file = written(
        space={"optim.learning_rate": [0.02, 1e-9, 1e30]}, scheduler={"kind": "asha", "grace": 0.5, "reduction": 2}
    )
    report = finished(start(file, tmp_path / "out"), code=3)
    status = {(trial["configuration"], trial["fold"]): trial["status"] for trial in report["trials"]}
    assert [status["c000", fold] for fold in (0, 1)] == ["done", "done"]
    assert [status["c001", fold] for fold in (0, 1)] == ["stopped", "stopped"]
    assert [status["c002", fold] for fold in (0, 1)] == ["failed", "failed"]
    assert all("loss" in trial["error"] for trial in report["trials"] if trial["status"] == "failed")
    assert report["configurations"][0]["configuration"] == "c000"
    run = SweepFolder(open_store(str(tmp_path / "out"))).run(TrialKey(configuration="c001", repeat=0, fold=0))
    assert max(line["step"] for line in run.metrics()) == 12  # not a step beyond the rung


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"space": {"optim.speed": [1]}}, "bad-sweep", "optim.speed"),
        ({"space": {"optim.learning_rate": [0.1, -1]}}, "bad-sweep", "optim.learning_rate -1"),
        ({"space": {"sampling.patch_shape": [[8, 8, 8], [7, 8, 8]]}}, "bad-sweep", "[7, 8, 8]"),
        ({"folds": {"count": 7}}, "too-few-patients", "7"),
        ({"recipe": "nothing"}, "bad-sweep", "nothing"),
        ({"settings": {"training.minutes": 1}, "scheduler": {"kind": "asha"}}, "bad-sweep", "minutes has no rungs"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_refused_before_anything_starts(
    written: Written, cases: Dataset, tmp_path: Path, changes: dict[str, object], code: str, says: str
) -> None:
    with pytest.raises(BadInput) as refused:
        sweep(SweepRequest(written(**changes), cases.url, str(tmp_path / "out")))
    assert refused.value.code == code
    assert says in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_no_patient_is_on_both_sides_of_a_fold_nor_held_out_too(
    written: Written, cases: Dataset, tmp_path: Path
) -> None:
    folds = {"count": 2, "test_share": 0.3, "patients": str(tmp_path / "patients.json")}
    owner = {f"case{number}": f"p{number // 2}" for number in range(6)}
    (tmp_path / "patients.json").write_text(json.dumps(owner))
    plan = preview(SweepRequest(written(folds=folds), cases.url, str(tmp_path / "out")))
    held = {owner[case] for case in plan.record.test}
    assert held
    for fold in plan.record.folds:
        learnt, judged = ({owner[case] for case in side} for side in fold)
        assert not learnt & judged
        assert not held & (learnt | judged)
    assert (plan.num_configurations, plan.num_trials, plan.patients) == (2, 4, 2)


def test_another_sweep_is_not_resumed(written: Written, cases: Dataset, tmp_path: Path) -> None:
    request = SweepRequest(written(), cases.url, str(tmp_path / "out"))
    plan = preview(request)
    SweepFolder(open_store(request.out)).claim(plan.record, plan.folds)
    written(repeats=2)
    with pytest.raises(BadInput, match="repeats differ"):
        sweep(SweepRequest(request.sweep, cases.url, request.out, resume=True))


def test_the_plan_is_printed_without_anything_being_written(written: Written, cases: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["sweep", written(), "--data", cases.url, "--out", str(out), "--dry-run"]
    plain, for_machines = CliRunner().invoke(app, words), CliRunner().invoke(app, [*words, "--json"])
    assert plain.exit_code == for_machines.exit_code == 0
    assert "c001: optim.learning_rate 0.01" in plain.output
    assert "2 configurations, 4 trials" in plain.output
    assert len(json.loads(for_machines.output)["folds"]) == 2
    assert not out.exists()


def test_best_of_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no sweep was started here"):
        best_model(str(tmp_path), str(tmp_path / "model"))
