"""A node is lost in mid-work, with all that ran on it; another one comes, and the work ends right."""

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import yaml
from ray_cluster import Node, NodeSpec, RayCluster

from osteon.jobs.run_folder import RunFolder
from osteon.jobs.sweep_folder import SweepFolder
from osteon.recipes.bundle import has_bundle
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.verify import verify

pytestmark = pytest.mark.slow
PATIENCE_S = 600.0
SCANS = 30

Osteon = Callable[..., tuple[int, str, str]]
Lose = Callable[..., None]


@pytest.fixture
def lose_worker(archive_cluster: RayCluster, worker: Node) -> Lose:
    """Kills the node as soon as something is the case, and adds another one like it, and more if they are wanted."""

    def lose(when: Callable[[], bool], *more: NodeSpec) -> None:
        until = time.monotonic() + PATIENCE_S
        while not when():
            assert time.monotonic() < until
            time.sleep(0.5)
        worker.kill()
        archive_cluster.add_nodes(worker.spec, *more)

    return lose


def ends_well(osteon: Osteon, id_: str) -> None:
    code, out, err = osteon("jobs", "logs", id_, "--follow")
    assert code == 0, out + err


def steps(run: RunFolder) -> list[int]:
    return [line["step"] for line in run.metrics() if line["kind"] == "train"]


def test_training_goes_on_from_its_last_checkpoint(
    s3_url: str,
    tiny_dataset: Callable[[str, int], Dataset],
    recipe: str,
    submit: Callable[..., str],
    osteon: Osteon,
    lose_worker: Lose,
) -> None:
    data, run = tiny_dataset(f"{s3_url}/data", 3), RunFolder(open_store(f"{s3_url}/run"))
    id_ = submit("train", recipe=recipe, data=data.url, out=run.store.url, set=["training.steps=300"])
    lose_worker(lambda: len(steps(run)) > 20)
    ends_well(osteon, id_)
    assert steps(run) == list(range(1, 301))
    assert has_bundle(run.model)


def test_every_scan_is_ingested_once(
    s3_url: str, tmp_path: Path, submit: Callable[..., str], osteon: Osteon, lose_worker: Lose
) -> None:
    scans, rng = tmp_path / "scans", np.random.default_rng(0)
    scans.mkdir()
    for number in range(SCANS):
        scan = sitk.GetImageFromArray(rng.integers(-1000, 1000, (40, 48, 48), np.int16))
        sitk.WriteImage(scan, scans / f"scan{number}.nii.gz")
    store = open_store(f"{s3_url}/archive")
    id_ = submit("ingest", source=[str(scans)], dataset=store.url, scheduler="ray")

    # The one that comes besides shares the driver's scratch folder, the other does not: cases are handed between them.
    def has_begun() -> bool:
        return sum(key.count("/") == 2 and key.endswith("zarr.json") for key in store.list("cases")) > 2

    lose_worker(has_begun, NodeSpec())
    ends_well(osteon, id_)
    dataset = Dataset.open(store.url)
    assert len(dataset.catalog()) == SCANS
    assert verify(store.url).is_sound
    assert not store.list("quarantine")


def test_no_trial_of_a_sweep_is_lost(
    s3_url: str,
    tiny_dataset: Callable[[str, int], Dataset],
    recipe: str,
    tmp_path: Path,
    submit: Callable[..., str],
    osteon: Osteon,
    lose_worker: Lose,
) -> None:
    data, folder = tiny_dataset(f"{s3_url}/data", 4), SweepFolder(open_store(f"{s3_url}/sweep"))
    shutil.copy(recipe, tmp_path / "tiny.yaml")
    sweep = {
        "name": "tiny",
        "recipe": "tiny.yaml",
        "settings": {"training.steps": 60},
        "space": {"optim.learning_rate": [0.01, 0.02]},
        "folds": {"count": 2},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(sweep))
    id_ = submit("sweep", sweep=str(tmp_path / "sweep.yaml"), data=data.url, out=folder.store.url)

    def under_way() -> bool:
        return any(len(steps(folder.run(key))) > 10 for key in folder.record().keys("c000"))

    lose_worker(lambda: folder.exists() and under_way())
    ends_well(osteon, id_)
    for id_ in ("c000", "c001"):
        for key in folder.record().keys(id_):
            assert steps(folder.run(key)) == list(range(1, 61))
            outcome = folder.outcome(key)
            assert outcome is not None
            assert outcome.status == "done"
