"""The whole way on a cluster: scans in, a network, a sweep, an archive, a service; a node is lost on the way."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import yaml
from ray_cluster import NodeSpec, RayCluster
from seaweed import free_ports
from service import START_S, labelled_file

from osteon.serve.client import Client
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store

pytestmark = [pytest.mark.slow, pytest.mark.realdata]

Osteon = Callable[..., tuple[int, str, str]]
Submit = Callable[..., str]
CASES = 6
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
space: {optim.learning_rate: [0.001, 0.003]}
folds: {count: 2}
"""


@pytest.fixture
def ends_well(submit: Submit, osteon: Osteon) -> Callable[..., None]:
    """Submits a job and waits for its end."""

    def run(kind: str, **arguments: object) -> None:
        _follow(osteon, submit(kind, **arguments))

    return run


def _follow(osteon: Osteon, id_: str) -> None:
    code, out, err = osteon("jobs", "logs", id_, "--follow")
    assert code == 0, out + err


@pytest.fixture
def real_scan(real_data: Path, s3_url: str) -> tuple[Path, str]:
    """A real scan here, and the same in the object store."""
    path = real_data / "ts-abdomen-pelvis-nifti" / "example_ct.nii.gz"
    open_store(s3_url).write_bytes("real/example_ct.nii.gz", path.read_bytes())
    return path, f"{s3_url}/real/example_ct.nii.gz"


def _await(there: Callable[[], bool]) -> None:
    until = time.monotonic() + START_S
    while not there():
        assert time.monotonic() < until
        time.sleep(1)


def _is_ready(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"{url}/readyz", timeout=10).status_code == 200
    return False


@pytest.fixture
def deploy(archive_cluster: RayCluster, s3_url: str, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Deploys the service with a model by Ray's own command; where it answers."""
    [port] = free_ports(1)
    head = {"Authorization": f"Bearer {archive_cluster.token}"}
    applications = f"{archive_cluster.jobs_url}/api/serve/applications/"

    def run(model: str) -> str:
        settings = {
            "models": {"bones": model},
            "store": f"{s3_url}/serve",
            "segmenters": {"least": 1, "most": 1, "cpus": 0.5, "gpus": 0},
            "sources": {"allow": [f"{s3_url}/real/"]},
        }
        application = {
            "name": "osteon",
            "route_prefix": "/",
            "import_path": "osteon.serve.app:build",
            "args": settings,
        }
        http = {"host": "127.0.0.1", "port": port}
        # The nodes share this machine's ports: one proxy is all that it has room for.
        file = {"proxy_location": "HeadOnly", "http_options": http, "applications": [application]}
        (tmp_path / "serve.yaml").write_text(yaml.safe_dump(file))
        command = [str(Path(sys.executable).with_name("serve")), "deploy", str(tmp_path / "serve.yaml")]
        command += ["--address", archive_cluster.jobs_url]
        done = subprocess.run(command, env={**os.environ, **archive_cluster.secret}, text=True, capture_output=True)
        assert done.returncode == 0, done.stdout + done.stderr
        url = f"http://127.0.0.1:{port}"
        _await(lambda: _is_ready(url))
        return url

    yield run
    httpx.delete(applications, headers=head, timeout=START_S).raise_for_status()


def test_from_scans_to_a_service_and_a_lost_node_is_not_noticed(
    archive_cluster: RayCluster,
    s3_url: str,
    submit: Submit,
    osteon: Osteon,
    ends_well: Callable[..., None],
    deploy: Callable[[str], str],
    real_scan: tuple[Path, str],
    tmp_path: Path,
) -> None:
    for left in archive_cluster.workers:
        left.kill()
    lost, _ = archive_cluster.add_nodes(NodeSpec(), NodeSpec())
    recipe, sweep = tmp_path / "whole-way.yaml", tmp_path / "sweep.yaml"
    recipe.write_text(RECIPE)
    sweep.write_text(SWEEP)
    phantoms, data = tmp_path / "phantoms", f"{s3_url}/data"
    code, _, err = osteon("phantom", phantoms, "--cases", CASES)
    assert code == 0, err

    ends_well("ingest", source=[str(phantoms)], dataset=data, scheduler="ray")
    ends_well("train", recipe=str(recipe), data=data, out=f"{s3_url}/run")
    swept = submit("sweep", sweep=str(sweep), data=data, out=f"{s3_url}/sweep")
    _await(lambda: any(name.endswith("metrics.jsonl") for name in open_store(f"{s3_url}/sweep").list("trials")))
    lost.kill()
    another = archive_cluster.add_node()
    _follow(osteon, swept)
    ends_well("predict", model=f"{s3_url}/run/model", data=data, out=f"{s3_url}/predicted")
    predicted = Dataset.open(f"{s3_url}/predicted")
    assert predicted.case_ids() == Dataset.open(data).case_ids()
    assert len(predicted.case_ids()) == CASES

    scan, url = real_scan
    with Client(deploy(f"{s3_url}/run/model"), None) as client:
        order = client.send(url)
        another.kill()
        archive_cluster.add_node()
        segmentation = client.follow(order.id)
        client.fetch(order.id, tmp_path / "labels.nii.gz")
    assert segmentation.state == "done"
    expected = labelled_file(f"{s3_url}/run/model", scan, tmp_path / "expected.nii.gz")
    assert (tmp_path / "labels.nii.gz").read_bytes() == expected
