"""Joins the Ray cluster of ``RAY_ADDRESS``, or starts a quiet one on this machine that ends with the command."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import ray

OBJECT_STORE_BYTES = 128 << 20  # scans never travel through Ray, so the least it takes is plenty


@contextmanager
def ray_session(num_cpus: int | None = None) -> Iterator[None]:
    """A connection to Ray; nothing that others started is ever stopped.

    ``num_cpus`` bounds the tasks at once of a Ray started here; None for one per core.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        # Nobody preempts one's own machine: spare the process that would watch for it.
        os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        ray.shutdown()
