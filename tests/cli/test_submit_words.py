"""Job files are held against the commands themselves."""

from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from osteon.cli.main import app
from osteon.cli.submit_words import cluster_words, local_words
from osteon.core.errors import BadInput


def root() -> TyperGroup:
    command = typer.main.get_command(app)
    assert isinstance(command, TyperGroup)
    return command


ROOT = root()
TRAIN = {"recipe": "demo", "data": "s3://a/b", "out": "s3://a/run"}


def test_keys_are_those_of_the_command() -> None:
    words = local_words(ROOT, "train", {**TRAIN, "workers": "1:4", "set": ["a=1", "b=2"], "resume": "true"})
    assert words == (
        "train", "demo", "--data=s3://a/b", "--out=s3://a/run", "--workers=1:4", "--set=a=1", "--set=b=2", "--resume",
    )  # fmt: skip


def test_dashes_and_underscores_are_the_same() -> None:
    arguments = {"source": ["/scans"], "dataset": "s3://a/b", "allow_gaps": "true"}
    assert "--allow-gaps" in local_words(ROOT, "ingest", arguments)


def test_a_sweep_is_one_command() -> None:
    words = local_words(ROOT, "sweep", {"sweep": "demo", "data": "s3://a/b", "out": "s3://a/c", "resume": "false"})
    assert words == ("sweep", "demo", "--data=s3://a/b", "--out=s3://a/c")


@pytest.mark.parametrize(
    ("kind", "arguments", "named"),
    [
        ("train", {**TRAIN, "dta": "x"}, r"arguments\.dta: train has no such argument"),
        ("train", {"recipe": "demo", "out": "s3://a/b"}, r"arguments\.data: Missing option"),
        ("train", {"data": "s3://a/b", "out": "s3://a/b"}, r"arguments\.recipe: Missing argument"),
        ("train", {**TRAIN, "resume": "maybe"}, r"arguments\.resume: 'maybe' is neither"),
        ("train", {**TRAIN, "out": ["a", "b"]}, r"arguments\.out: it takes one value"),
        ("ingest", {"source": ["/a"], "dataset": "/b", "workers": "no"}, r"arguments\.workers: Invalid value"),
        ("evaluate", {"model": "/a", "data": "/b", "out": "/c", "split": "most"}, r"arguments\.split: Invalid value"),
    ],
)
def test_what_the_command_would_refuse_is_refused_by_key(kind: str, arguments: dict[str, str], named: str) -> None:
    with pytest.raises(BadInput, match=named) as refusal:
        local_words(ROOT, kind, arguments)
    assert refusal.value.code == "bad-job"


def test_a_file_of_settings_goes_along(tmp_path: Path) -> None:
    recipe, names = tmp_path / "mine.yaml", tmp_path / "names.json"
    recipe.write_text("name: mine\n")
    names.write_text("{}")
    line = cluster_words(ROOT, "train", {**TRAIN, "recipe": str(recipe)})
    assert line.words[:2] == ("train", "recipe/mine.yaml")
    assert line.files == {"recipe/mine.yaml": b"name: mine\n"}
    line = cluster_words(ROOT, "ingest", {"source": "/scans", "dataset": "s3://a/b", "labels_map": str(names)})
    assert "--labels-map=labels-map/names.json" in line.words
    assert line.files == {"labels-map/names.json": b"{}"}


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("train", {**TRAIN, "out": "runs/first"}),
        ("ingest", {"source": ["/scans", "scans"], "dataset": "s3://a/b"}),
        ("ingest", {"source": "/scan.nii.gz", "dataset": "s3://a/b", "labels": "labels.nii.gz"}),
    ],
)
def test_paths_that_only_hold_here_are_refused(kind: str, arguments: dict[str, str]) -> None:
    with pytest.raises(BadInput, match=r"path of this machine \[here-only\]") as refusal:
        cluster_words(ROOT, kind, arguments)
    assert refusal.value.where.startswith("arguments.")


def test_a_bad_recipe_is_refused_before_it_is_sent() -> None:
    with pytest.raises(BadInput, match="no-recipe"):
        cluster_words(ROOT, "train", {**TRAIN, "recipe": "nothing"})
