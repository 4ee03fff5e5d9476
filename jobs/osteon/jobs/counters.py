"""What jobs tell Prometheus: counters that Ray keeps in each process and exports at its node's metrics port.

Ray's, not prometheus-client's: a job has no port that anybody knows to ask, and its nodes have one that is asked
anyhow. Without Ray nobody asks, and nothing is counted.
"""

from __future__ import annotations

from functools import cache

import ray
from ray.util.metrics import Counter

from osteon.telemetry.metrics import Metric


def count(metric: Metric, value: float, *labels: str) -> None:
    """Add to a counter; ``labels`` are values, in the order declared."""
    if value > 0 and ray.is_initialized():  # Ray refuses to count nothing
        _counter(metric).inc(value, dict(zip(metric.labels, labels, strict=True)))


@cache
def _counter(metric: Metric) -> Counter:
    return Counter(metric.name, metric.help, metric.labels)
