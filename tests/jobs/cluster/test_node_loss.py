"""A node is lost in mid-work, with all that ran on it; another one comes, and the work ends right."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from ray_cluster import RayCluster

from osteon.jobs.run_folder import RunFolder
from osteon.recipes.bundle import has_bundle
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store

pytestmark = pytest.mark.slow
PATIENCE_S = 600.0


def await_that(there: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < until
        time.sleep(1)


def test_training_goes_on_from_its_last_checkpoint(
    archive_cluster: RayCluster,
    s3_url: str,
    tiny_dataset: Callable[[str, int], Dataset],
    recipe: str,
    submit: Callable[..., str],
    osteon: Callable[..., tuple[int, str, str]],
) -> None:
    data = tiny_dataset(f"{s3_url}/data", 3)
    run = RunFolder(open_store(f"{s3_url}/run"))

    def steps() -> list[Any]:
        return [line["step"] for line in run.metrics() if line["kind"] == "train"]

    node = archive_cluster.add_node(apart=True)
    id_ = submit("train", recipe=recipe, data=data.url, out=run.store.url, set=["training.steps=300"])
    await_that(lambda: len(steps()) > 20)
    node.kill()
    archive_cluster.add_node(apart=True)
    code, out, err = osteon("jobs", "logs", id_, "--follow")
    assert code == 0, out + err
    assert steps() == list(range(1, 301))
    assert has_bundle(run.model)
