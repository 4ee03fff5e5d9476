"""The whole way on a cluster: scans in, a network, a sweep, an archive, a service; head and node are lost on it."""

import math
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from deployment import Deployment
from manifests import panels
from prometheus import Prometheus, list_targets, prometheus
from ray_cluster import NodeSpec, RayCluster
from service import labelled_file

from osteon.jobs.run_folder import RunFolder
from osteon.serve.app import API, DESK, SEGMENTER
from osteon.serve.client import Client
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store

pytestmark = [pytest.mark.slow, pytest.mark.realdata]

Osteon = Callable[..., tuple[int, str, str]]
Submit = Callable[..., str]
PATIENCE_S = 600.0
SEEN_S = 90.0  # until what Ray's nodes tell is seen by Prometheus
CASES = 4
RECIPE = """
name: whole-way
grid: {spacing_mm: [6.0, 6.0, 6.0]}
model: {channels: [4, 8], num_auxiliary: 0}
sampling: {patch_shape: [24, 24, 24]}
training: {steps: 40, log_every: 1, checkpoint_every: 10, validate_every: 1000, validation_share: 0}
inference: {window_shape: [32, 32, 32]}
"""
SWEEP = """
name: whole-way
recipe: whole-way.yaml
settings: {training.steps: 20}
space: {optim.learning_rate: [0.001, 0.003]}
folds: {count: 2}
resources: {parallel: 2}
"""
PLACES = {API: {"stays": 0.01}, DESK: {"stays": 0.01}, SEGMENTER: {"segments": 0.01}}
WITHOUT_DATA = {"ray_node_gpus_utilization": "this machine has no GPU"}


@pytest.fixture
def real_scan(real_data: Path, s3_url: str) -> tuple[Path, str]:
    """A real scan here, and the same in the object store."""
    path = real_data / "ts-abdomen-pelvis-nifti" / "example_ct.nii.gz"
    open_store(s3_url).write_bytes("real/example_ct.nii.gz", path.read_bytes())
    return path, f"{s3_url}/real/example_ct.nii.gz"


@pytest.fixture
def watched(archive_cluster: RayCluster, tmp_path: Path) -> Iterator[tuple[Prometheus, Path]]:
    """Prometheus, which asks every node of the cluster, and the list where it finds the service."""
    service = tmp_path / "service.json"
    with prometheus(tmp_path, {"ray": archive_cluster.targets, "service": service}) as running:
        yield running, service


@pytest.fixture
def follow(osteon: Osteon) -> Callable[[str], None]:
    """Waits for the good end of a job."""

    def wait(id_: str) -> None:
        code, out, err = osteon("jobs", "logs", id_, "--follow")
        assert code == 0, out + err

    return wait


def wait_for(there: Callable[[], object], pause_s: float = 0.5) -> None:
    until = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < until
        time.sleep(pause_s)


def write_airy(path: Path) -> Path:
    """A scan with bone at one end and nothing but air at the other."""
    hu = np.full((90, 64, 64), -1000, np.int16)
    hu[:20, 16:48, 16:48] = 700
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((6.0, 6.0, 6.0))
    sitk.WriteImage(image, path)
    return path


def unanswered(queries: dict[str, str], server: Prometheus) -> dict[str, str]:
    """Those that give no number."""
    answers = {name: server.ask(query) for name, query in queries.items()}
    return {
        name: queries[name]
        for name, series in answers.items()
        if all(math.isnan(float(each["value"][1])) for each in series)
    }


def test_from_scans_to_a_service_and_neither_a_lost_head_nor_a_lost_node_is_noticed(
    archive_cluster: RayCluster,
    s3_url: str,
    start: Callable[..., subprocess.Popen[str]],
    submit: Submit,
    follow: Callable[[str], None],
    deploy: Callable[..., Deployment],
    watched: tuple[Prometheus, Path],
    real_scan: tuple[Path, str],
    tmp_path: Path,
) -> None:
    archive_cluster.kill_workers()
    recipe, sweep = tmp_path / "whole-way.yaml", tmp_path / "sweep.yaml"
    recipe.write_text(RECIPE)
    sweep.write_text(SWEEP)
    phantoms, data, run = tmp_path / "phantoms", f"{s3_url}/data", RunFolder(open_store(f"{s3_url}/run"))
    making = start("phantom", phantoms, "--cases", CASES)
    segments = NodeSpec(resources={"segments": 1})
    lost, _ = archive_cluster.add_nodes(segments, NodeSpec(resources={"stays": 1}))
    assert making.wait(PATIENCE_S) == 0

    follow(submit("ingest", source=[str(phantoms)], dataset=data, scheduler="ray"))
    trained = submit(
        "train", {"cpus": 0.1}, recipe=str(recipe), data=data, out=run.store.url, cpus=1, set=["training.steps=60"]
    )
    wait_for(run.metrics)
    assert archive_cluster.head is not None
    archive_cluster.head.kill()
    archive_cluster.start_head()
    follow(trained)

    allowed = {"sources": {"allow": [f"{s3_url}/real/"]}, "guard": {"auth": {"public_metrics": True}}}
    service = deploy(run.model.url, PLACES, **allowed)
    url = service.url(archive_cluster.head)
    server, targets = watched
    list_targets(targets, [url.removeprefix("http://")])
    jobs = [
        submit("sweep", sweep=str(sweep), data=data, out=f"{s3_url}/sweep"),
        submit("predict", model=run.model.url, data=data, out=f"{s3_url}/predicted"),
    ]
    service.await_running(url)
    wait_for(lambda: any(name.endswith("metrics.jsonl") for name in open_store(f"{s3_url}/sweep").list("trials")))
    scan, source = real_scan
    with Client(url) as client:
        order = client.send(source)
        wait_for(lambda: client.get(order.id).state != "accepted", pause_s=0.05)  # a step is under way
        lost.kill()
        archive_cluster.add_nodes(segments)
        assert client.follow(order.id).state == "done"
        client.fetch(order.id, tmp_path / "labels.nii.gz")
        wait_for(lambda: server.ask('ray_osteon_segmentation_seconds_count{state="done"}'))
        client.follow(client.send(write_airy(tmp_path / "airy.nii.gz")).id)
    expected = labelled_file(run.model.url, scan, tmp_path / "expected.nii.gz")
    assert (tmp_path / "labels.nii.gz").read_bytes() == expected
    for id_ in jobs:
        follow(id_)
    predicted = Dataset.open(f"{s3_url}/predicted")
    assert predicted.case_ids() == Dataset.open(data).case_ids()
    assert len(predicted.case_ids()) == CASES

    wait_for(lambda: server.ask('osteon_segmentation_seconds_count{state="done"} == 2'))
    queries = {name: query.replace("$cluster", ".*") for name, query in panels().items()}
    here = {name: query for name, query in queries.items() if not any(metric in query for metric in WITHOUT_DATA)}
    assert len(queries) - len(here) == len(WITHOUT_DATA)
    until = time.monotonic() + SEEN_S
    while (missing := unanswered(here, server)) and time.monotonic() < until:
        time.sleep(2)
    assert not missing
