import re

import pytest

from osteon.telemetry.metrics import MAX_NOTES, METRICS, STEP_SECONDS, STEPS_LOST, VOXELS, Metric, Note, Notes, replay

UNITS = ("_seconds", "_bytes")


class Heard:
    """A recorder that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, float, tuple[str, ...]]] = []

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        self.told.append((metric.name, value, labels))


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_wants_them(metric: Metric) -> None:
    assert re.fullmatch(r"osteon_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "histogram" or metric.name.endswith(UNITS)
    assert metric.help.endswith("."), "one sentence"
    assert bool(metric.buckets) == (metric.kind == "histogram")
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert not {"id", "caller", "owner", "file", "path", "le"} & set(metric.labels), "few values, no names"


def test_names_are_given_once() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)


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
