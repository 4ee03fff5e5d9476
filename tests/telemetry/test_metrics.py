import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from osteon.telemetry.metrics import (
    JOB_METRICS,
    MAX_NOTES,
    METRICS,
    STEP_SECONDS,
    STEPS_LOST,
    VOXELS,
    Metric,
    Note,
    Notes,
    replay,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "job-metrics.md"
OURS = METRICS + JOB_METRICS

UNITS = ("_seconds", "_bytes")


class Heard:
    """A recorder that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, tuple[str, ...]]] = []

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        self.told.append((metric.name, value, labels))


@pytest.mark.parametrize("metric", OURS, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_wants_them(metric: Metric) -> None:
    assert re.fullmatch(r"osteon_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or metric.name.endswith(UNITS)
    assert metric.help.endswith("."), "one sentence"
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not {"id", "caller", "owner", "file", "path", "le"} & set(metric.labels), "few values, no names"


def test_names_are_given_once() -> None:
    assert len({metric.name for metric in OURS}) == len(OURS)


def test_jobs_tell_what_can_be_added_up() -> None:
    assert {metric.kind for metric in JOB_METRICS} == {"counter"}


def test_the_page_lists_every_metric_of_jobs_and_no_other() -> None:
    rows = [re.findall(r"[^|]+", line) for line in PAGE.read_text().splitlines() if line.startswith("| `osteon_")]
    assert [tuple(cell.strip() for cell in row) for row in rows] == [
        (f"`{metric.name}`", metric.kind, ", ".join(f"`{label}`" for label in metric.labels) or "–", metric.help)
        for metric in JOB_METRICS
    ]


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)")
def test_what_the_page_asks_prometheus_can_answer(tmp_path: Path) -> None:
    asked = re.findall(r"^\| [^`|]+ \| `(.+)` \|$", PAGE.read_text(), re.MULTILINE)
    rules = [{"record": f"page:{number}", "expr": expression} for number, expression in enumerate(asked)]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "page", "rules": rules}]}))
    checked = subprocess.run(["promtool", "check", "rules", tmp_path / "rules.yaml"], text=True, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    named = {name for expression in asked for name in re.findall(r"ray_(osteon_\w+)", expression)}
    assert len(asked) > 3
    assert named <= {metric.name for metric in JOB_METRICS}


def test_notes_are_taken_once_and_tell_another_recorder_the_same() -> None:
    notes, heard = Notes(), Heard()
    notes.record(VOXELS, 5)
    notes.record(STEP_SECONDS, 0.5, "begin")
    replay(notes.take(), heard)

    assert heard.told == [(VOXELS.name, 5, ()), (STEP_SECONDS.name, 0.5, ("begin",))]
    assert notes.take() == ()


def test_what_nobody_takes_does_not_pile_up() -> None:
    notes = Notes()
    for number in range(MAX_NOTES + 3):
        notes.record(STEPS_LOST, number, "begin")
    assert [note.value for note in notes.take()] == list(range(3, MAX_NOTES + 3))


def test_a_metric_of_another_version_is_passed_over() -> None:
    heard = Heard()
    replay((Note("osteon_of_tomorrow_total", 1, ()), Note(VOXELS.name, 2, ())), heard)
    assert heard.told == [(VOXELS.name, 2, ())]
