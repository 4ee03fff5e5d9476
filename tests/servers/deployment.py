"""The segmentation service on a test's Ray cluster, brought there by Ray's own command, with a proxy on every node."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from ray_cluster import HERE, Node, RayCluster
from seaweed import free_ports
from service import START_S

from osteon.serve.app import API, DESK, SEGMENTER

CPUS = 0.1  # of each replica, so that none is on a head without processors

Resources = Mapping[str, Mapping[str, float]]
"""What replicas of a deployment ask of their node besides, by the deployment's name."""


class Deployment:
    """The service on a cluster.

    Args:
        cluster: where it was deployed.
        port: where each node answers that has a part of it, and the head.
    """

    def __init__(self, cluster: RayCluster, port: int) -> None:
        self._port = port
        address, head = f"{cluster.jobs_url}/api/serve/applications/", {"Authorization": f"Bearer {cluster.token}"}
        self._applications = httpx.Client(base_url=address, headers=head, timeout=START_S)

    def url(self, node: Node) -> str:
        """Where a node answers."""
        return f"http://{node.address}:{self._port}"

    def await_running(self, url: str) -> None:
        """Wait until Ray is content with it and orders are carried out."""
        until, state = time.monotonic() + START_S, dict[str, Any]()
        while time.monotonic() < until:
            with suppress(httpx.HTTPError, KeyError):
                state = self._state()
                assert state["status"] != "DEPLOY_FAILED", state
                if state["status"] == "RUNNING" and httpx.get(f"{url}/readyz", timeout=10).status_code == 200:
                    return
            time.sleep(0.5)
        raise AssertionError(state)

    def replicas(self) -> dict[str, str]:
        """Of which deployment each is, by its id, which one that is started anew does not get again."""
        deployments = self._state()["deployments"]
        running = [(name, replica) for name, each in deployments.items() for replica in each["replicas"]]
        return {replica["replica_id"]: name for name, replica in running}

    def end(self) -> None:
        """Take it away."""
        self._applications.delete("").raise_for_status()
        self._applications.close()

    def _state(self) -> dict[str, Any]:
        found: dict[str, Any] = self._applications.get("").raise_for_status().json()["applications"]["osteon"]
        return found


def deploy_on(cluster: RayCluster, file: Path, arguments: Mapping[str, Any], resources: Resources) -> Deployment:
    """Deploy it with these settings, by way of a file; the cluster's nodes must know themselves as `HERE`."""
    [port] = free_ports(1)
    options = {name: {"num_cpus": CPUS, "resources": resources.get(name, {})} for name in (API, DESK, SEGMENTER)}
    application = {
        "name": "osteon",
        "route_prefix": "/",
        "import_path": "osteon.serve.app:build",
        "args": arguments,
        "deployments": [{"name": name, "ray_actor_options": asked} for name, asked in options.items()],
    }
    http = {"host": HERE, "port": port}
    config = {"proxy_location": "EveryNode", "http_options": http, "applications": [application]}
    file.write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("serve")), "deploy", str(file), "--address", cluster.jobs_url]
    done = subprocess.run(command, env={**os.environ, **cluster.secret}, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return Deployment(cluster, port)
