"""A real Prometheus sees what a running service does, at the Api and at Ray; and one grep shows a request's way."""

import time
from contextlib import suppress
from pathlib import Path

import httpx
import psutil
import pytest
import yaml
from prometheus import Prometheus, list_targets, prometheus
from service import Start

from osteon.serve.audit import HEADER

pytestmark = pytest.mark.slow
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
SEEN_S = 120.0  # until Prometheus has seen what it should, on a busy machine


def ray_session(pid: int) -> Path:
    """The folder of the Ray that a process started, as the command line of Ray's own process tells."""
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            for word in process.cmdline():
                if word.startswith("--log_dir="):
                    return Path(word.removeprefix("--log_dir=")).parent
    raise AssertionError("no Ray was started")


def query(server: Prometheus, what: str) -> dict[str, float]:
    """Ask Prometheus until something matches: the values by the job that they were scraped for."""
    until = time.monotonic() + SEEN_S
    while not (found := server.ask(what)):
        assert time.monotonic() < until, f"nothing matches {what}"
        time.sleep(1)
    return {series["metric"]["job"]: float(series["value"][1]) for series in found}


def test_prometheus_sees_the_service_and_the_logs_tell_one_request(
    start: Start, model: str, scan: Path, tmp_path: Path
) -> None:
    config = tmp_path / "serve.yaml"
    settings = {"models": {"tiny": model}, "store": str(tmp_path / "store"), "api_replicas": 2}
    config.write_text(yaml.safe_dump(settings))
    service = start("--config", str(config))
    session = ray_session(service.process.pid)
    [port] = session.glob("metrics_export_port_*")
    targets = {"api": httpx.URL(service.url).netloc.decode(), "ray": f"127.0.0.1:{port.read_text().strip()}"}

    lists = {job: tmp_path / f"{job}.json" for job in targets}
    for job, path in lists.items():
        list_targets(path, [targets[job]])

    with prometheus(tmp_path, lists) as server:
        files = {"scan": (scan.name, scan.read_bytes())}
        url = f"{service.url}/v1/segmentations?wait=60"
        answer = httpx.post(url, files=files, headers={HEADER: UUID}, timeout=90)
        assert answer.json()["state"] == "done", answer.text

        for job, prefix in (("api", ""), ("ray", "ray_")):
            assert query(server, f'{prefix}osteon_segmentation_seconds_count{{state="done"}}') == {job: 1}
            asked = f'{prefix}osteon_request_seconds_count{{method="POST",route="/v1/segmentations",status="200"}}'
            assert query(server, asked) == {job: 1}
            assert query(server, f"{prefix}osteon_labelled_voxels_total") == {job: 40 * 24 * 24}
            assert (
                query(server, f"{prefix}osteon_labelled_voxels_total / {prefix}osteon_labelling_seconds_total")[job] > 0
            )
            assert query(server, f'{prefix}osteon_windows_total{{state="computed"}} > 0')
            assert query(server, f"{prefix}osteon_orders_open == 0") == {job: 0}

    logs = [log.read_text(errors="replace") for log in (session / "logs").glob("worker-*.err")]
    lines = [line for log in logs for line in log.splitlines() if UUID in line]
    for name in ("osteon.audit", "osteon.serve.desk", "osteon.serve.segmenter"):
        assert [line for line in lines if f" {name}: " in line], f"no line of {name} names the request"
