"""A real S3 server for tests and benchmarks: SeaweedFS on free ports, in a folder of its own, with keys of its own."""

from __future__ import annotations

import json
import random
import secrets
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import obstore
from obstore.store import S3Store

GRPC_OFFSET = 10_000  # SeaweedFS opens a second port this far above each
START_TIMEOUT_S = 90


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        endpoint: its base URL.
        key: access key id.
        secret: secret access key.
        bucket: a bucket that exists.
    """

    endpoint: str
    key: str
    secret: str
    bucket: str

    @property
    def env(self) -> dict[str, str]:
        """The environment in which Osteon reaches it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def serve(folder: Path) -> Iterator[S3Server]:
    """Run a server that keeps its data in ``folder``; stopped, and only it, on leaving."""
    key, secret = f"key{secrets.token_hex(8)}", secrets.token_hex(20)
    identity = {
        "name": "osteon",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config = folder / "s3.json"
    config.write_text(json.dumps({"identities": [identity]}))
    data = folder / "data"
    data.mkdir()
    master, volume, filer, s3 = free_ports(4)
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("weed")), *_arguments(data, config, master, volume, filer, s3)],
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            server = S3Server(f"http://127.0.0.1:{s3}", key, secret, "osteon-test")
            _wait(f"{server.endpoint}/healthz", process, folder / "weed.log")
            _make_bucket(server)
            yield server
        finally:
            _stop(process)


def free_ports(count: int) -> list[int]:
    """Ports that are free, and free ``GRPC_OFFSET`` above."""
    ports: list[int] = []
    while len(ports) < count:
        port = random.SystemRandom().randrange(20_000, 50_000)
        if port not in ports and _is_free(port) and _is_free(port + GRPC_OFFSET):
            ports.append(port)
    return ports


def _arguments(data: Path, config: Path, master: int, volume: int, filer: int, s3: int) -> list[str]:
    return [
        "server", f"-dir={data}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
        "-master.telemetry=false", "-master.volumeSizeLimitMB=256", f"-master.port={master}",
        f"-volume.port={volume}", "-volume.max=20",
        "-filer", f"-filer.port={filer}",
        "-s3", f"-s3.config={config}", f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0",
    ]  # fmt: skip


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"SeaweedFS did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _make_bucket(server: S3Server) -> None:
    """SeaweedFS makes a bucket with its first object; obstore retries while there is no volume for it yet."""
    store = S3Store(
        server.bucket,
        endpoint=server.endpoint,
        access_key_id=server.key,
        secret_access_key=server.secret,
        region="us-east-1",
        client_options={"allow_http": True},
    )
    obstore.put(store, "ready", b"yes", use_multipart=False)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kill it: an orderly stop takes 20 s, and its data is thrown away."""
    process.kill()
    process.wait()
