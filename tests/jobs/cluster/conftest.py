"""A cluster as in production: a head that computes nothing, nodes that share nothing with it but the object store."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment import Deployment, Resources, deploy_on
from ray_cluster import Node, NodeSpec, RayCluster, ray_cluster
from redis_server import redis_server
from seaweed import S3Server

START_S = 600
WORKER = NodeSpec(2, apart=True)
TELLS = {"RAY_metrics_report_interval_ms": "2000"}  # 10 s by default: a test's training has ended by then

Job = Callable[..., Path]
Osteon = Callable[..., tuple[int, str, str]]
Submit = Callable[..., str]


@pytest.fixture(scope="session")
def archive_cluster(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """The head alone, which keeps what it knows in Redis; tests add the nodes that they need, and kill them."""
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        ray_cluster(num_cpus=0, redis=redis, **s3.env, **TELLS) as running,
    ):
        yield running


@pytest.fixture
def worker(archive_cluster: RayCluster) -> Node:
    """The one node that computes, on a machine of its own: an earlier test's, or a new one; other nodes are killed."""
    left = [node for node in archive_cluster.workers if node.spec == WORKER][:1]
    archive_cluster.kill_workers(*left)
    return left[0] if left else archive_cluster.add_nodes(WORKER)[0]


@pytest.fixture
def start(archive_cluster: RayCluster) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command that talks to the cluster; it is ended with the test."""
    begun: list[subprocess.Popen[str]] = []

    def run(*words: object) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "osteon.cli.main", *map(str, words)]
        env = {**os.environ, **archive_cluster.env}
        begun.append(subprocess.Popen(line, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return begun[-1]

    yield run
    for process in begun:
        process.kill()
        process.communicate()


@pytest.fixture
def osteon(start: Callable[..., subprocess.Popen[str]]) -> Osteon:
    """Runs a command against the cluster: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        running = start(*words)
        out, err = running.communicate(timeout=START_S)
        return running.returncode, out, err

    return run


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Writes the file of a job of a kind with some arguments, and what its command holds."""

    def write(kind: str, resources: dict[str, float] | None = None, **arguments: Any) -> Path:
        file = tmp_path / f"job-{kind}-{len(list(tmp_path.glob('job-*')))}.yaml"
        file.write_text(yaml.safe_dump({"job": kind, "arguments": arguments, "resources": resources or {}}))
        return file

    return write


@pytest.fixture
def submit(osteon: Osteon, job: Job) -> Submit:
    """Submits a job of a kind with some arguments; its id."""

    def hand_over(kind: str, resources: dict[str, float] | None = None, **arguments: Any) -> str:
        code, out, err = osteon("submit", job(kind, resources, **arguments), "--json")
        assert code == 0, err
        return str(json.loads(out)["id"])

    return hand_over


@pytest.fixture
def deploy(archive_cluster: RayCluster, s3_url: str, tmp_path: Path) -> Iterator[Callable[..., Deployment]]:
    """Deploys the service with a model; ended with the test."""
    begun: list[Deployment] = []

    def run(model: str, resources: Resources | None = None, **settings: Any) -> Deployment:
        arguments = {"models": {"bones": model}, "store": f"{s3_url}/serve", **settings}
        begun.append(deploy_on(archive_cluster, tmp_path / "serve.yaml", arguments, resources or {}))
        return begun[-1]

    yield run
    for deployment in begun:
        deployment.end()
