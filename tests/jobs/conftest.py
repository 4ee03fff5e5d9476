"""A tiny dataset and a tiny recipe, what jobs are tested with; and what datasets are compared by."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import kill_tree

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.storage.dataset import Dataset
from osteon.storage.manifest import RootDocument
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case

SHAPE = (20, 24, 22)
TABLE = table_for(["femur_left", "femur_right", "sacrum"])
RECIPE = """
name: tiny
model: {channels: [4, 6], num_auxiliary: 0}
sampling: {patch_shape: [8, 8, 8]}
optim: {learning_rate: 0.01}
training: {steps: 12, precision: float32, log_every: 1, checkpoint_every: 5, validate_every: 100, validation_share: 0}
inference: {window_shape: [16, 16, 16]}
"""


def write_dataset(url: str, cases: int) -> Dataset:
    """Cases ``case0`` … with three boxes of bone each (two in the last), at 1.5 mm."""
    dataset = Dataset.create(url, "tiny", TABLE)
    for number in range(cases):
        rng = np.random.default_rng(number)
        labels = np.zeros(SHAPE, np.uint8)
        labels[4:12, 3:9, 3:9] = TABLE.ids["femur_left"]
        labels[4:12, 3:9, 13:19] = TABLE.ids["femur_right"]
        if number < cases - 1 or cases == 1:
            labels[13:18, 14:20, 8:14] = TABLE.ids["sacrum"]
        image = np.choose(TABLE.class_of()[labels], [-50, 300, 700, 1100])
        image = (image + rng.normal(0, 40, SHAPE)).astype(np.int16)
        write_case(dataset, f"case{number}", image, labels, Grid(SHAPE, (1.5, 1.5, 1.5)))
    dataset.refresh()
    return Dataset.open(url)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Three cases in a folder."""
    return write_dataset(str(tmp_path_factory.mktemp("data") / "tiny"), 3)


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The path of a recipe that trains twelve small steps."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(RECIPE)
    return str(path)


@pytest.fixture(scope="session")
def tiny_dataset() -> Callable[[str, int], Dataset]:
    """Writes so many cases to a URL."""
    return write_dataset


@pytest.fixture(scope="session")
def table() -> LabelTable:
    """The bones of the tiny dataset."""
    return TABLE


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `osteon` with some words, away from here; whatever still runs at the end is killed.

    It starts a Ray of its own unless ``RAY_ADDRESS`` is among the variables given.
    """
    started: list[subprocess.Popen[str]] = []
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    here = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"} | {"OMP_NUM_THREADS": "1"}

    def run(*words: object, **env: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "osteon.cli.main", *map(str, words)],
            cwd=elsewhere,
            env=here | env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        kill_tree(process.pid)
        process.communicate()


@pytest.fixture
def contents() -> Callable[[str | Path], dict[str, bytes | str]]:
    """Every object of a dataset's cases by key; of root documents the manifest, without what each commit draws."""

    def read(url: str | Path) -> dict[str, bytes | str]:
        store = open_store(str(url))
        return {key: _comparable(key, store.read_bytes(key)) for key in store.list("cases")}

    return read


def _comparable(key: str, data: bytes) -> bytes | str:
    if key.count("/") != 2 or not key.endswith("zarr.json"):
        return data
    return RootDocument.from_bytes(data, key).manifest.model_copy(update={"write_id": ""}).model_dump_json()
