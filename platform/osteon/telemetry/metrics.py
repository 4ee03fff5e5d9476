"""Every number that Prometheus is shown, declared once: its name, what it means, its labels.

Whoever has something to count does it through a `Recorder`; which client keeps the numbers is decided where a process
is put together. Labels take few values: no ids, no file names, nothing that could name a patient.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["counter", "gauge", "histogram"]
MAX_NOTES = 10_000

_BRIEF_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_LONG_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)
_MEMORY_BYTES = tuple(gib * 2.0**30 for gib in (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128))


@dataclass(frozen=True)
class Metric:
    """A number and what it means.

    Attributes:
        name: as Prometheus wants it: base unit at the end, ``_total`` for a counter.
        kind: a counter only grows, a gauge comes and goes, a histogram counts values by size (``_count``, ``_sum``).
        help: one line.
        labels: names of its labels.
        buckets: upper bounds of a histogram, in the unit of its name.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()


REQUEST_SECONDS = Metric(
    "osteon_request_seconds",
    "histogram",
    "HTTP requests that were answered, waiting for a result included; by the route's template.",
    ("route", "method", "status"),
    _BRIEF_S,
)
SEGMENTATION_SECONDS = Metric(
    "osteon_segmentation_seconds",
    "histogram",
    "Segmentations that are over, from the request to the end; state is done, failed or cancelled.",
    ("state",),
    _LONG_S,
)
ORDERS_OPEN = Metric("osteon_orders_open", "gauge", "Segmentations that were accepted and are not over.")
OLDEST_ORDER_SECONDS = Metric(
    "osteon_oldest_order_seconds", "gauge", "Time since the oldest open segmentation was accepted; 0 without one."
)
STEP_SECONDS = Metric(
    "osteon_step_seconds",
    "histogram",
    "Steps that a replica ended, without the wait for it; step is begin, label_range, finish or deposit.",
    ("step",),
    _LONG_S,
)
STEPS_LOST = Metric(
    "osteon_steps_lost_total", "counter", "Steps whose replica died; they are given to another.", ("step",)
)
VOXELS = Metric("osteon_labelled_voxels_total", "counter", "Voxels of scans that got their labels.")
LABELLING_SECONDS = Metric(
    "osteon_labelling_seconds_total", "counter", "Time that replicas spent on giving voxels their labels."
)
WINDOWS = Metric(
    "osteon_windows_total",
    "counter",
    "Windows over what got its labels; state is computed, or skipped where the zone map rules bone out.",
    ("state",),
)
MODEL_LOAD_SECONDS = Metric(
    "osteon_model_load_seconds", "histogram", "Models that were brought into memory.", ("model",), _LONG_S
)
RESIDENT_BYTES = Metric(
    "osteon_segmenter_resident_bytes",
    "histogram",
    "Resident memory of a replica at the end of a step; where the system tells it (Linux).",
    buckets=_MEMORY_BYTES,
)

METRICS = (
    REQUEST_SECONDS,
    SEGMENTATION_SECONDS,
    ORDERS_OPEN,
    OLDEST_ORDER_SECONDS,
    STEP_SECONDS,
    STEPS_LOST,
    VOXELS,
    LABELLING_SECONDS,
    WINDOWS,
    MODEL_LOAD_SECONDS,
    RESIDENT_BYTES,
)
"""What a service tells."""

CASES = Metric(
    "osteon_job_cases_total",
    "counter",
    "Cases that are over in a job; kind is ingest, prepare or predict, outcome what became of them.",
    ("kind", "outcome"),
)
READ_BYTES = Metric(
    "osteon_job_read_bytes_total", "counter", "Bytes of sources that became cases; kind is ingest.", ("kind",)
)
COMPUTING_SECONDS = Metric(
    "osteon_job_computing_seconds_total",
    "counter",
    "Time that workers took to label or to train, waits for data included; kind is predict or train.",
    ("kind",),
)
WAITING_SECONDS = Metric(
    "osteon_job_waiting_seconds_total", "counter", "What of that time they waited for data.", ("kind",)
)
PREDICTED_VOXELS = Metric("osteon_job_labelled_voxels_total", "counter", "Voxels of archives that got their labels.")
TRAIN_STEPS = Metric("osteon_job_training_steps_total", "counter", "Optimiser steps done.")
TRAIN_PATCHES = Metric("osteon_job_training_patches_total", "counter", "Patches trained on, by all workers of a run.")
TRIALS = Metric(
    "osteon_job_trials_total",
    "counter",
    "Trials of sweeps that are over; outcome is done, stopped or failed.",
    ("outcome",),
)

JOB_METRICS = (
    CASES,
    READ_BYTES,
    COMPUTING_SECONDS,
    WAITING_SECONDS,
    PREDICTED_VOXELS,
    TRAIN_STEPS,
    TRAIN_PATCHES,
    TRIALS,
)
"""What jobs tell: counters alone, so that workers, runs and restarts add up."""
_BY_NAME = {metric.name: metric for metric in METRICS}


class Recorder(Protocol):
    """Where numbers go."""

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter, set a gauge or observe for a histogram; ``labels`` are values, in the order declared."""
        ...


class Count(Protocol):
    """What adds to a counter; ``labels`` are values, in the order declared."""

    def __call__(self, metric: Metric, value: float, *labels: str) -> None:
        """Add."""
        ...


def uncounted(metric: Metric, value: float, *labels: str) -> None:
    """Where nobody asks for numbers, none are kept."""
    del metric, value, labels


@dataclass(frozen=True)
class Note:
    """A number on its way from one process to another.

    Attributes:
        name: of the metric.
        value: what was recorded.
        labels: their values, in the order declared.
    """

    name: str
    value: float
    labels: tuple[str, ...]


class Notes:
    """A recorder that keeps what it is told until somebody takes it along; the oldest go when nobody does."""

    def __init__(self) -> None:
        self._kept: deque[Note] = deque(maxlen=MAX_NOTES)

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Keep a number."""
        self._kept.append(Note(metric.name, value, labels))

    def take(self) -> tuple[Note, ...]:
        """What was kept, in order; it is kept no longer."""
        return tuple(self._kept.popleft() for _ in range(len(self._kept)))


def replay(notes: Iterable[Note], recorder: Recorder) -> None:
    """Record what another process noted; a metric that only the other one knows is passed over."""
    for note in notes:
        if note.name in _BY_NAME:
            recorder.record(_BY_NAME[note.name], note.value, *note.labels)
