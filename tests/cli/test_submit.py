"""`osteon submit` as far as no cluster is needed: what would be submitted, and jobs that run here."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from osteon.cli.main import app
from osteon.core.errors import BadInput

RUNNER = CliRunner()


def job(tmp_path: Path, text: str) -> str:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    return str(path)


def test_a_dry_run_shows_the_command_and_what_goes_along(tmp_path: Path) -> None:
    recipe = tmp_path / "mine.yaml"
    recipe.write_text("name: mine\n")
    text = f"""
        job: train
        name: first
        arguments: {{recipe: {recipe}, data: s3://a/b, out: s3://a/run, workers: 1:4}}
        resources: {{cpus: 2, memory_gib: 4}}
        storage: {{endpoint: "http://store:8333", region: eu-central-1}}
    """
    plan = json.loads(RUNNER.invoke(app, ["submit", job(tmp_path, text), "--dry-run", "--json"]).output)
    assert plan["entrypoint"] == "osteon train recipe/mine.yaml --data=s3://a/b --out=s3://a/run --workers=1:4"
    assert plan["files"] == ["recipe/mine.yaml"]
    assert plan["env"] == {"AWS_ENDPOINT_URL": "http://store:8333", "AWS_REGION": "eu-central-1"}
    assert plan["resources"] == {"cpus": 2, "gpus": 0, "memory_gib": 4}
    shown = RUNNER.invoke(app, ["submit", job(tmp_path, text), "--dry-run"]).output
    assert shown.startswith(f"{plan['id']}: {plan['entrypoint']}\n")
    assert "2 cpus, 4 memory_gib" in shown


def test_locally_the_same_job_runs_here_with_paths_of_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AWS_REGION", raising=False)
    text = "job: ingest\narguments: {source: [scans], dataset: archive, dry-run: true, json: true}"
    (tmp_path / "scans").mkdir()
    done = RUNNER.invoke(app, ["submit", job(tmp_path, text + "\nstorage: {region: eu}"), "--local"])
    assert json.loads(done.output)["dataset"].endswith("archive")
    assert done.exit_code == 1  # nothing done, as the command itself says
    assert os.environ["AWS_REGION"] == "eu"
    refused = RUNNER.invoke(app, ["submit", job(tmp_path, text), "--dry-run"])
    assert isinstance(refused.exception, BadInput)
    assert refused.exception.code == "here-only"
