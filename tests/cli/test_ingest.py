"""`osteon ingest` as a person runs it: exit codes, the summary, one line for what cannot be done."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner, Result

from osteon.cli.main import app, run
from osteon.storage.dataset import Dataset


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    for number, name in enumerate(("a", "b")):
        (folder / name).mkdir(parents=True)
        hu = np.random.default_rng(number).integers(-1000, 1000, (40, 30, 30), dtype=np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(hu), str(folder / name / "ct.nii.gz"))
        sitk.WriteImage(sitk.GetImageFromArray((hu > 700).astype(np.uint8)), str(folder / name / "labels.nii.gz"))
    (folder / "labels.json").write_text('{"1": "femur_left"}')
    return folder


def osteon(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["ingest", *map(str, arguments), "--scheduler", "threads"])


def damage(scans: Path, name: str) -> None:
    path = scans / name / "ct.nii.gz"
    path.write_bytes(path.read_bytes()[:-500])


def test_all_well(scans: Path, tmp_path: Path) -> None:
    result = osteon(scans, tmp_path / "ds")
    assert result.exit_code == 0, result.output
    assert "2 ingested" in result.stdout
    assert "2 skipped" in osteon(scans, tmp_path / "ds").stdout


def test_some_quarantined(scans: Path, tmp_path: Path) -> None:
    damage(scans, "b")
    result = osteon(scans, tmp_path / "ds")
    assert result.exit_code == 3
    assert "1 ingested, 1 quarantined" in result.stdout
    assert str(scans / "b" / "ct.nii.gz") in result.stdout


def test_nothing_done(scans: Path, tmp_path: Path) -> None:
    damage(scans, "a")
    damage(scans, "b")
    assert osteon(scans, tmp_path / "ds").exit_code == 1


def test_a_summary_for_machines(scans: Path, tmp_path: Path) -> None:
    damage(scans, "b")
    result = osteon(scans, tmp_path / "ds", "--json")
    summary = json.loads(result.stdout)
    good, bad = sorted(summary["cases"], key=lambda case: str(case["case_id"]))
    assert (good["case_id"], good["status"], good["labels"]) == ("a", "ingested", ["femur_left"])
    assert (bad["case_id"], bad["status"]) == ("b", "quarantined")
    assert bad["code"]
    assert bad["reason"]
    assert summary["layout"] == "scans"


def test_a_dry_run_writes_nothing(scans: Path, tmp_path: Path) -> None:
    result = osteon(scans, tmp_path / "ds", "--dry-run")
    assert result.exit_code == 0
    assert "2 planned" in result.stdout
    assert not (tmp_path / "ds").exists()


def test_a_label_file_and_map_for_one_scan(scans: Path, tmp_path: Path) -> None:
    names = tmp_path / "names.json"
    names.write_text('{"1": "vertebrae_L3"}')
    options = ("--labels", scans / "a" / "labels.nii.gz", "--labels-map", names)
    result = osteon(scans / "a" / "ct.nii.gz", tmp_path / "ds", *options, "--json")
    assert json.loads(result.stdout)["cases"][0]["labels"] == ["vertebrae_L3"]


def test_nothing_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setattr(sys, "argv", ["osteon", "ingest", str(tmp_path / "empty"), str(tmp_path / "ds")])
    with pytest.raises(SystemExit) as stopped:
        run()
    assert stopped.value.code == 1
    assert "no-scans" in capsys.readouterr().err


def test_a_store_that_denies_access_is_one_line(
    scans: Path, s3_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setattr(sys, "argv", ["osteon", "ingest", str(scans), s3_url, "--scheduler", "threads"])
    with pytest.raises(SystemExit) as stopped:
        run()
    errors = capsys.readouterr().err
    assert stopped.value.code == 1
    assert errors.count("\n") == 1
    assert "store-denied" in errors


def test_ingest_into_s3(scans: Path, s3_url: str) -> None:
    assert osteon(scans, s3_url).exit_code == 0
    assert Dataset.open(s3_url).case_ids() == ["a", "b"]
