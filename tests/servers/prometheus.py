"""A real Prometheus for tests: it scrapes what lists of addresses name, as these lists grow."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from seaweed import free_ports

START_S = 60.0
SCRAPE_S = 2


@dataclass(frozen=True)
class Prometheus:
    """A running server.

    Attributes:
        url: where it answers.
    """

    url: str

    def ask(self, query: str) -> list[dict[str, Any]]:
        """Every series that a query gives, as Prometheus' API tells it: ``metric`` and ``value``."""
        answer = httpx.get(f"{self.url}/api/v1/query", params={"query": query}, timeout=30)
        assert answer.status_code == 200, f"{query}: {answer.text}"
        found: list[dict[str, Any]] = answer.json()["data"]["result"]
        return found


def list_targets(path: Path, addresses: Iterable[str], **labels: str) -> None:
    """Write a list of addresses that is scraped from now on, in one step."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps([{"targets": list(addresses), "labels": labels}]))
    draft.replace(path)


@contextmanager
def prometheus(folder: Path, lists: Mapping[str, Path]) -> Iterator[Prometheus]:
    """Run a server that scrapes the lists, each as a job of that name; skips the test where it is not installed."""
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed (Debian: prometheus)")
    [port], config = free_ports(1), folder / "prometheus.yaml"
    finding = {name: [{"files": [str(path)], "refresh_interval": "2s"}] for name, path in lists.items()}
    jobs = [{"job_name": name, "file_sd_configs": found} for name, found in finding.items()]
    config.write_text(yaml.safe_dump({"global": {"scrape_interval": f"{SCRAPE_S}s"}, "scrape_configs": jobs}))
    command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
    try:
        _await_answer(f"http://127.0.0.1:{port}/-/ready", process, folder / "prometheus.log")
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(30)


def _await_answer(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(url, timeout=5).status_code == 200:
                return
        time.sleep(0.2)
    raise RuntimeError(f"Prometheus did not start:\n{log.read_text(errors='replace')[-2000:]}")
