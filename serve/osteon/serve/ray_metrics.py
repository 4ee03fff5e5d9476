"""The same numbers for who scrapes Ray's nodes, as KubeRay's Prometheus does, and has no key for the Api.

Ray 2.60 exports them at each node's metrics port, without a dashboard too, some ten seconds late: with the prefix
``ray_`` before the name (a counter's ``_total`` is not doubled) and labels for node, session and worker beside ours.
"""

from __future__ import annotations

from ray.util.metrics import Counter, Gauge, Histogram

from osteon.telemetry.metrics import METRICS, Metric


class RayRecorder:
    """A recorder in a process that Ray started."""

    def __init__(self) -> None:
        self._kept = {metric.name: _instrument(metric) for metric in METRICS}

    def record(self, metric: Metric, value: float, *labels: str) -> None:
        """Add to a counter, set a gauge or observe for a histogram."""
        kept, tags = self._kept[metric.name], dict(zip(metric.labels, labels, strict=True))
        if isinstance(kept, Gauge):
            kept.set(value, tags)
        elif isinstance(kept, Histogram):
            kept.observe(value, tags)
        elif value > 0:  # Ray refuses to count nothing
            kept.inc(value, tags)


def _instrument(metric: Metric) -> Counter | Gauge | Histogram:
    if metric.kind == "counter":
        return Counter(metric.name, metric.help, metric.labels)
    if metric.kind == "gauge":
        return Gauge(metric.name, metric.help, metric.labels)
    return Histogram(metric.name, metric.help, list(metric.buckets), metric.labels)
