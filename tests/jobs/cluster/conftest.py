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
from ray_cluster import RayCluster, ray_cluster
from seaweed import S3Server

START_S = 600

Submit = Callable[..., str]


@pytest.fixture(scope="session")
def archive_cluster(s3: S3Server) -> Iterator[RayCluster]:
    """The head alone; tests add the nodes that they need, and kill them."""
    with ray_cluster(num_cpus=0, **s3.env) as running:
        yield running


@pytest.fixture
def osteon(archive_cluster: RayCluster) -> Callable[..., tuple[int, str, str]]:
    """Runs a command against the cluster: exit code, output, errors."""

    def run(*words: object) -> tuple[int, str, str]:
        line = [sys.executable, "-m", "osteon.cli.main", *map(str, words)]
        done = subprocess.run(
            line,
            env={**os.environ, **archive_cluster.env},
            capture_output=True,
            text=True,
            timeout=START_S,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def submit(osteon: Callable[..., tuple[int, str, str]], tmp_path: Path) -> Submit:
    """Submits a job of a kind with some arguments; its id."""

    def hand_over(kind: str, **arguments: Any) -> str:
        file = tmp_path / f"job-{kind}.yaml"
        file.write_text(yaml.safe_dump({"job": kind, "arguments": arguments}))
        code, out, err = osteon("submit", file, "--json")
        assert code == 0, err
        return str(json.loads(out)["id"])

    return hand_over
