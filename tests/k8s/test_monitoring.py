"""Alerts are raised when they should be, the runbook knows each, and nothing is asked for that nobody tells."""

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml
from manifests import ROOT, panels, render

from osteon.telemetry.metrics import JOB_METRICS, METRICS, Metric

CASES = Path(__file__).with_name("alerts.yaml")
RUNBOOK = ROOT / "docs" / "how-to" / "runbook.md"
OURS = METRICS + JOB_METRICS
OF_RAY = "ray_"
OF_KUBERAY = {"ray_io_cluster", "ray_io_node_type"}  # labels that the PodMonitor adds; by their look they are metrics
START_S = 300.0
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is missing (Debian: prometheus)")

NOTE_EVERYTHING = """
import sys, ray
from osteon.jobs.counters import count
from osteon.serve.ray_metrics import RayRecorder
from osteon.telemetry.metrics import JOB_METRICS, METRICS
for _ in range(10):  # Ray gives its node 30 s to start, which a busy machine may need twice
    try:
        ray.init("local", num_cpus=1, include_dashboard=False, object_store_memory=100 << 20, log_to_driver=False)
        break
    except Exception:
        ray.shutdown()
recorder = RayRecorder()
for metric in METRICS:
    recorder.record(metric, 1.0, *(f"a {label}" for label in metric.labels))
for metric in JOB_METRICS:
    count(metric, 1.0, *(f"a {label}" for label in metric.labels))
[port] = {int(node["MetricsExportPort"]) for node in ray.nodes()}
print(port, flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def rules() -> dict[str, str]:
    """The expression of each alert."""
    [manifest] = render("gpu").of_kind("PrometheusRule")
    groups = manifest["spec"]["groups"]
    return {rule["alert"]: rule["expr"] for group in groups for rule in group["rules"]}


@pytest.fixture(scope="module")
def exported() -> Iterator[set[str]]:
    """Names of all numbers of a Ray node on which each of ours was told once."""
    command = [sys.executable, "-c", NOTE_EVERYTHING]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        told = node.stdout.readline()
        assert told, "Ray did not start"
        yield _await_names(int(told))
        node.communicate(timeout=120)


def _await_names(port: int) -> set[str]:
    until, names = time.monotonic() + START_S, set[str]()
    while time.monotonic() < until:
        text = httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=60).text
        names = set(re.findall(r"^([a-zA-Z_:]\w*)[ {]", text, re.M))
        if all(any(name.startswith(OF_RAY + metric.name) for name in names) for metric in OURS):
            return names
        time.sleep(5)
    raise AssertionError(f"ours are not among {sorted(names)}")


def _metrics(expression: str) -> set[str]:
    return set(re.findall(r"\bray_\w+", expression)) - OF_KUBERAY


def _declared(name: str) -> Metric | None:
    """Which of ours has the name, with what Prometheus puts behind a histogram's."""
    for metric in OURS:
        endings = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        if name in {f"{OF_RAY}{metric.name}{ending}" for ending in endings}:
            return metric
    return None


@needs_promtool
def test_alerts_are_raised_when_they_should_be(tmp_path: Path) -> None:
    [manifest] = render("gpu").of_kind("PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(manifest["spec"]))
    shutil.copy(CASES, tmp_path)
    for command in (["check", "rules", "rules.yaml"], ["test", "rules", CASES.name]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_seen_raised(rules: dict[str, str]) -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == set(rules)


def test_the_runbook_knows_each_alert(rules: dict[str, str]) -> None:
    assert set(re.findall(r"^## (\w+)$", RUNBOOK.read_text(), re.M)) == set(rules)


def test_ours_are_declared_with_the_labels_that_are_asked_for(rules: dict[str, str]) -> None:
    seen = set()
    for where, expression in (rules | panels()).items():
        for name, selector in re.findall(r"\b(ray_osteon_\w+)(?:\{([^}]*)\})?", expression):
            metric = _declared(name)
            assert metric is not None, f"{where}: nobody tells {name}"
            assert set(re.findall(r"(\w+)=", selector)) <= {*metric.labels, *OF_KUBERAY}, where
            seen.add(metric)
    assert seen == set(OURS)


@pytest.mark.slow
def test_a_ray_node_tells_what_is_asked(rules: dict[str, str], exported: set[str], ray_panels: str) -> None:
    """A node without a GPU tells nothing of GPUs: for those Ray's own dashboard is asked."""
    for where, expression in (rules | panels()).items():
        for name in _metrics(expression):
            known = name in ray_panels if "gpu" in name else name in exported
            assert known, f"{where}: nobody tells {name}"


@pytest.fixture(scope="module")
def ray_panels() -> str:
    """What Ray's own dashboard asks for."""
    from ray.dashboard.modules.metrics.dashboards import default_dashboard_panels

    return Path(default_dashboard_panels.__file__).read_text()


def test_prometheus_finds_the_ports() -> None:
    [monitor] = render("gpu").of_kind("PodMonitor")
    ports = {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]}
    for overlay in ("gpu", "gpu/jobs"):
        for pod in render(overlay).pods:
            if "/head" in pod.name:
                named = {port["name"] for port in pod.spec["containers"][0]["ports"]}
                assert ports <= named, pod.name
