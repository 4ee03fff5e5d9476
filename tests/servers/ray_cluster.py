"""A real Ray cluster for tests, as in production: a head with the jobs server, a token, and nodes that come and go.

Every port is a free one, every process is of this cluster alone, and only these are ever killed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from processes import kill_tree
from seaweed import free_ports

START_S = 300.0  # until a node is there, on a busy machine
OBJECT_STORE_BYTES = 80 << 20
HOST = "127.0.0.1"
FIRST_EPHEMERAL = 32_768  # from here on the system gives ports to anybody, also between our look and Ray's start
LONG = 107 - len("/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")  # what a socket's path leaves


@dataclass
class Node:
    """A machine of the cluster: `ray start --block` and all that it started.

    Attributes:
        process: the command; its end is the node's.
        log: what it printed.
    """

    process: subprocess.Popen[bytes]
    log: Path

    def kill(self) -> None:
        """End it and all that runs on it, as a power cut does."""
        kill_tree(self.process.pid)
        self.process.wait(30)


@dataclass
class RayCluster:
    """A running cluster.

    Attributes:
        address: of the cluster itself, for RAY_ADDRESS: ``host:port``.
        jobs_url: of the jobs server, for RAY_API_SERVER_ADDRESS.
        token: what both ask for.
        folder: where its processes keep their logs and sockets.
        extra: what else its processes find in their environment.
        nodes: all that were ever started, in order.
        head: the one with the jobs server.
    """

    address: str
    jobs_url: str
    token: str
    folder: Path
    extra: Mapping[str, str]
    nodes: list[Node] = field(default_factory=list)
    head: Node | None = None

    @property
    def scratch(self) -> Path:
        """Where its processes keep what they need for a while."""
        return self.folder / "scratch"

    @property
    def secret(self) -> dict[str, str]:
        """The environment that proves who one is."""
        return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token}

    @property
    def env(self) -> dict[str, str]:
        """The environment of a command that submits jobs."""
        return {**self.secret, "RAY_API_SERVER_ADDRESS": self.jobs_url}

    def start_head(self, num_cpus: int = 2) -> Node:
        """Start the head on the cluster's ports, after a kill once more, and wait until it counts itself."""
        port, dashboard = self.address.rpartition(":")[2], self.jobs_url.rpartition(":")[2]
        [client] = _free_ports(1)
        words = (
            "--head", "--node-ip-address", HOST, "--port", port,
            "--dashboard-host", HOST, "--dashboard-port", dashboard, "--ray-client-server-port", str(client),
        )  # fmt: skip
        self.head = self._bring_up(num_cpus, words)
        return self.head

    def add_node(self, num_cpus: int = 2, *, apart: bool = False) -> Node:
        """Start one more node, on an address of its own, and wait until the cluster counts it.

        Args:
            num_cpus: its processors.
            apart: what others keep for a while is not there, as on a machine of its own; skips the test where that is
                not allowed.
        """
        words = ("--address", self.address, "--node-ip-address", f"127.0.0.{len(self.nodes) + 1}")
        return self._bring_up(num_cpus, words, _apart(self.scratch) if apart else ())

    def alive(self) -> set[str]:
        """Ids of the nodes that the cluster takes to be there; a lost one for some seconds, too."""
        answer = self._get("/nodes?view=summary")
        nodes = json.loads(answer)["data"]["summary"] if answer else []
        return {node["raylet"]["nodeId"] for node in nodes if node["raylet"].get("state") == "ALIVE"}

    def stop(self) -> None:
        """End what is left of it."""
        for node in reversed(self.nodes):
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _bring_up(self, num_cpus: int, arguments: Sequence[str], within: Sequence[str] = ()) -> Node:
        before, until = self.alive(), time.monotonic() + START_S
        node = self._start(num_cpus, arguments, within)
        while not self.alive() - before:
            if time.monotonic() > until:
                raise RuntimeError(f"Ray did not start:\n{node.log.read_text(errors='replace')[-2000:]}")
            if node.process.poll() is not None:  # Ray gives its own processes half a minute, on any machine
                node = self._start(num_cpus, arguments, within)
            time.sleep(0.5)
        return node

    def _start(self, num_cpus: int, arguments: Sequence[str], within: Sequence[str]) -> Node:
        number = len(self.nodes)
        agent, grpc, metrics, environments = map(str, _free_ports(4))
        folder = self.folder / str(number)
        log = self.folder / f"node-{number}.log"
        command = [
            *within, str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments,
            "--dashboard-agent-listen-port", agent, "--dashboard-agent-grpc-port", grpc,
            "--metrics-export-port", metrics, "--runtime-env-agent-port", environments,
            "--num-cpus", str(num_cpus), "--object-store-memory", str(OBJECT_STORE_BYTES),
            "--temp-dir", str(folder), "--disable-usage-stats", "--log-color", "false",
        ]  # fmt: skip
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=self._env(), stdout=file, stderr=subprocess.STDOUT)
        self.nodes.append(Node(process, log))
        return self.nodes[-1]

    def _env(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        # The commands of jobs are those of this installation.
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
        return {**inherited, "PATH": path, "TMPDIR": str(self.scratch), **self.secret, **self.extra}

    def _get(self, path: str) -> bytes | None:
        request = urllib.request.Request(self.jobs_url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                body: bytes = answer.read()
        except (urllib.error.URLError, OSError):
            return None
        return body


@contextmanager
def ray_cluster(num_cpus: int = 2, **extra: str) -> Iterator[RayCluster]:
    """A cluster of one node with so many processors, which finds ``extra`` in its environment; killed on leaving."""
    folder = Path(tempfile.mkdtemp(prefix="osteon-ray-"))
    assert len(str(folder)) < LONG, f"{folder} is too long for sockets"
    (folder / "scratch").mkdir()
    port, dashboard = _free_ports(2)
    cluster = RayCluster(f"{HOST}:{port}", f"http://{HOST}:{dashboard}", secrets.token_hex(16), folder, extra)
    try:
        cluster.start_head(num_cpus)
        yield cluster
    finally:
        cluster.stop()


def _apart(folder: Path) -> Sequence[str]:
    """What a command is put behind to find a folder of its own in that place."""
    words = ("unshare", "--mount", "--map-root-user", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(folder))
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    return words


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        found += [port for port in free_ports(1) if port < FIRST_EPHEMERAL and port not in found]
    return found
