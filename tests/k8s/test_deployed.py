"""The service of the local overlay on a real Ray cluster with a token, whose head has no processors either."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from manifests import cluster_spec, render
from ray_cluster import RayCluster, ray_cluster
from seaweed import free_ports
from service import START_S

from osteon.serve.app import API, DESK, SEGMENTER
from osteon.serve.keys import add_key

pytestmark = pytest.mark.slow


@pytest.fixture
def cluster() -> Iterator[RayCluster]:
    """A head and one worker, with the processors that the manifest gives them."""
    [service] = render("local").of_kind("RayService")
    spec = cluster_spec(service)
    [group] = spec["workerGroupSpecs"]
    limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
    with ray_cluster(int(spec["headGroupSpec"]["rayStartParams"]["num-cpus"])) as running:
        running.add_node(int(limits["cpu"]))
        yield running


@pytest.fixture
def deployed(cluster: RayCluster, tmp_path: Path) -> str:
    """Where it answers; with this machine's store, keys and port, and a model that nobody has trained yet."""
    [service] = render("local").of_kind("RayService")
    file, [port], keys = yaml.safe_load(service["spec"]["serveConfigV2"]), free_ports(1), tmp_path / "keys.yaml"
    add_key(keys, "anna", frozenset({"segment", "read"}))
    file |= {"proxy_location": "HeadOnly", "http_options": {"host": "127.0.0.1", "port": port}}
    arguments = file["applications"][0]["args"]
    arguments |= {"models": {"bones": str(tmp_path / "none")}, "store": str(tmp_path / "store")}
    arguments["guard"]["auth"]["keys"] = str(keys)
    config = tmp_path / "serve.yaml"
    config.write_text(yaml.safe_dump(file))
    command = [str(Path(sys.executable).with_name("serve")), "deploy", str(config), "--address", cluster.jobs_url]
    done = subprocess.run(command, env={**os.environ, **cluster.secret}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return f"http://127.0.0.1:{port}"


def test_it_comes_up_beside_the_head(cluster: RayCluster, deployed: str) -> None:
    application = _await_running(cluster, deployed)
    assert httpx.get(f"{deployed}/v1/models", timeout=60).status_code == 401
    replicas = {name: found["replicas"] for name, found in application["deployments"].items()}
    assert set(replicas) == {API, DESK, SEGMENTER}
    for name, running in replicas.items():
        assert running, name
        assert {replica["node_ip"] for replica in running} == {"127.0.0.2"}, f"{name} is on the head"


def _await_running(cluster: RayCluster, url: str) -> dict[str, Any]:
    """What Ray says of the application, once orders are carried out."""
    until, state = time.monotonic() + START_S, dict[str, Any]()
    while time.monotonic() < until:
        address, head = f"{cluster.jobs_url}/api/serve/applications/", {"Authorization": f"Bearer {cluster.token}"}
        answer = httpx.get(address, headers=head, timeout=START_S)
        state = answer.raise_for_status().json()["applications"].get("osteon", {})
        assert state.get("status") != "DEPLOY_FAILED", state
        with suppress(httpx.TransportError):
            if httpx.get(f"{url}/readyz", timeout=10).status_code == 200 and state.get("status") == "RUNNING":
                return dict(state)
        time.sleep(1)
    raise AssertionError(state)
