"""A real Ray cluster for tests, as in production: a head with the jobs server, a token, and nodes that come and go.

Every port is a free one, every process is of this cluster alone, and only these are ever killed. With Redis the head
may be killed, too, and started again: what KubeRay sets for that is set here.
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
from prometheus import list_targets
from redis_server import RedisServer
from seaweed import free_ports

START_S = 300.0  # until a node is there, on a busy machine
OBJECT_STORE_BYTES = 80 << 20
HOST = "127.0.0.1"
HERE = "this-node"  # what each node of a cluster with Redis knows its own address by, and no other's
WORKERS_WAIT_S = 600  # for a head that is away: what KubeRay gives its workers
FIRST_EPHEMERAL = 32_768  # from here on the system gives ports to anybody, also between our look and Ray's start
LONG = 107 - len("/session_2026-01-01_00-00-00_000000_1234567/sockets/plasma_store")  # what a socket's path leaves


@dataclass(frozen=True)
class NodeSpec:
    """What a node is to be.

    Attributes:
        num_cpus: its processors.
        apart: what others keep for a while is not there, as on a machine of its own; skips the test where that is not
            allowed.
        resources: what it has besides, by name.
    """

    num_cpus: int = 2
    apart: bool = False
    resources: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Node:
    """A machine of the cluster: `ray start --block` and all that it started.

    Attributes:
        process: the command; its end is the node's.
        log: what it printed.
        address: its own.
        metrics: where Prometheus asks it: ``host:port``.
        spec: what it was to be.
    """

    process: subprocess.Popen[bytes]
    log: Path
    address: str
    metrics: str
    spec: NodeSpec

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
        redis: where the head keeps what it knows; None if it forgets it when it ends.
        nodes: all that were ever started, in order.
        head: the one with the jobs server.
    """

    address: str
    jobs_url: str
    token: str
    folder: Path
    extra: Mapping[str, str]
    redis: RedisServer | None = None
    nodes: list[Node] = field(default_factory=list)
    head: Node | None = None
    _known: set[str] = field(default_factory=set)  # ids of all nodes that were ever there

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

    @property
    def targets(self) -> Path:
        """The list of what Prometheus is to ask: every node that was ever started."""
        return self.folder / "targets.json"

    @property
    def workers(self) -> list[Node]:
        """Its nodes without the head, as far as they were not killed."""
        return [node for node in self.nodes if node.address != HOST and node.process.poll() is None]

    def start_head(self, num_cpus: int = 0) -> Node:
        """Start the head on the cluster's ports, after a kill once more, and wait until it counts itself."""
        port, dashboard = self.address.rpartition(":")[2], self.jobs_url.rpartition(":")[2]
        [client] = _free_ports(1)
        words = [
            "--head", "--port", port,
            "--dashboard-host", HOST, "--dashboard-port", dashboard, "--ray-client-server-port", str(client),
        ]  # fmt: skip
        if self.redis is not None:
            words += ["--redis-password", self.redis.password]
        [self.head] = self._bring_up([(HOST, NodeSpec(num_cpus), words)])
        return self.head

    def add_node(self, num_cpus: int = 2, *, apart: bool = False) -> Node:
        """Start one more node, on an address of its own, and wait until the cluster counts it."""
        [node] = self.add_nodes(NodeSpec(num_cpus, apart))
        return node

    def add_nodes(self, *specs: NodeSpec) -> list[Node]:
        """Start more nodes beside each other."""
        first, words = len(self.nodes) + 1, ["--address", self.address]
        return self._bring_up([(f"127.0.0.{first + number}", spec, words) for number, spec in enumerate(specs)])

    def alive(self) -> set[str]:
        """Ids of the nodes that the cluster takes to be there; a lost one for some seconds, too."""
        answer = self._get("/nodes?view=summary")
        nodes = json.loads(answer)["data"]["summary"] if answer else []
        return {node["raylet"]["nodeId"] for node in nodes if node["raylet"].get("state") == "ALIVE"}

    def kill_workers(self, *spared: Node) -> None:
        """End the other nodes, and wait until the cluster counts them no longer: it would still send work to them."""
        for node in self.workers:
            if node not in spared:
                node.kill()
        until = time.monotonic() + START_S
        while len(self.alive()) > 1 + len(self.workers):
            assert time.monotonic() < until, "lost nodes are still counted"
            time.sleep(0.5)

    def stop(self) -> None:
        """End what is left of it."""
        for node in reversed(self.nodes):
            node.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _bring_up(self, wanted: Sequence[tuple[str, NodeSpec, Sequence[str]]]) -> list[Node]:
        nodes, until = [self._start(*each) for each in wanted], time.monotonic() + START_S
        while len(found := self.alive() - self._known) < len(nodes):
            if time.monotonic() > until:
                logs = [node.log.read_text(errors="replace")[-2000:] for node in nodes]
                raise RuntimeError("\n".join(["Ray did not start:", *logs]))
            ended = [number for number, node in enumerate(nodes) if node.process.poll() is not None]
            # Ray gives its own processes half a minute, on any machine: the next time they start one by one.
            if ended and len(ended) + len(found) >= len(nodes):
                nodes[ended[0]] = self._start(*wanted[ended[0]])
            time.sleep(0.5)
        self._known |= found
        return nodes

    def _start(self, address: str, spec: NodeSpec, arguments: Sequence[str]) -> Node:
        number = len(self.nodes)
        agent, grpc, metrics, environments = map(str, _free_ports(4))
        folder = self.folder / str(number)
        log = self.folder / f"node-{number}.log"
        command = [
            *self._around(address, spec), str(Path(sys.executable).with_name("ray")), "start", "--block", *arguments,
            "--node-ip-address", address,
            "--dashboard-agent-listen-port", agent, "--dashboard-agent-grpc-port", grpc,
            "--metrics-export-port", metrics, "--runtime-env-agent-port", environments,
            "--num-cpus", str(spec.num_cpus), "--resources", json.dumps(dict(spec.resources)),
            "--object-store-memory", str(OBJECT_STORE_BYTES),
            "--temp-dir", str(folder), "--disable-usage-stats", "--log-color", "false",
        ]  # fmt: skip
        with log.open("wb") as file:
            process = subprocess.Popen(command, env=self._env(address), stdout=file, stderr=subprocess.STDOUT)
        self.nodes.append(Node(process, log, address, f"{HOST}:{metrics}", spec))
        list_targets(self.targets, [node.metrics for node in self.nodes], ray_io_cluster="test")
        return self.nodes[-1]

    def _around(self, address: str, spec: NodeSpec) -> Sequence[str]:
        """What a node's command is put behind."""
        mounts = [f"mount -t tmpfs none {self.scratch}"] if spec.apart else []
        if self.redis is not None:
            hosts = self.folder / f"hosts-{address}"
            hosts.write_text(f"{HOST} localhost\n{address} {HERE}\n")
            mounts.append(f"mount --bind {hosts} /etc/hosts")
        return _enclosed(mounts) if mounts else ()

    def _env(self, address: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        # The commands of jobs are those of this installation.
        path = f"{Path(sys.executable).parent}{os.pathsep}{inherited.get('PATH', '')}"
        lasting = {}
        if self.redis is not None:
            waits = {"RAY_gcs_rpc_server_reconnect_timeout_s": str(WORKERS_WAIT_S)}
            lasting = self.redis.env if address == HOST else waits
        return {**inherited, "PATH": path, "TMPDIR": str(self.scratch), **self.secret, **lasting, **self.extra}

    def _get(self, path: str) -> bytes | None:
        request = urllib.request.Request(self.jobs_url + path, headers={"Authorization": f"Bearer {self.token}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                body: bytes = answer.read()
        except (urllib.error.URLError, OSError):
            return None
        return body


@contextmanager
def ray_cluster(num_cpus: int = 2, redis: RedisServer | None = None, **extra: str) -> Iterator[RayCluster]:
    """A cluster of one node with so many processors, which finds ``extra`` in its environment; killed on leaving."""
    folder = Path(tempfile.mkdtemp(prefix="osteon-ray-"))
    assert len(str(folder)) < LONG, f"{folder} is too long for sockets"
    (folder / "scratch").mkdir()
    port, dashboard = _free_ports(2)
    cluster = RayCluster(f"{HOST}:{port}", f"http://{HOST}:{dashboard}", secrets.token_hex(16), folder, extra, redis)
    try:
        cluster.start_head(num_cpus)
        yield cluster
    finally:
        cluster.stop()


def _enclosed(mounts: Sequence[str]) -> Sequence[str]:
    """What a command is put behind to find its own things in some places, and to see its own processes alone.

    Ray's drivers join the node that they see run, the head before others.
    """
    script = " && ".join([*mounts, 'exec "$0" "$@"'])
    words = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--map-root-user"]
    words += ["sh", "-c", script]
    if subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    return words


def _free_ports(count: int) -> list[int]:
    found: list[int] = []
    while len(found) < count:
        found += [port for port in free_ports(1) if port < FIRST_EPHEMERAL and port not in found]
    return found
