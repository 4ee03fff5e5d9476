"""Joins the Ray cluster of ``RAY_ADDRESS``, or starts a quiet one on this machine that ends with the command."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import ray

from osteon.core.errors import OsteonError
from osteon.storage.patience import VARIABLE

CONNECT_TIMEOUT_S = 10.0
OBJECT_STORE_BYTES = 128 << 20  # scans never travel through Ray, so the least it takes is plenty


@contextmanager
def ray_session(num_cpus: int | None = None) -> Iterator[None]:
    """A connection to Ray; nothing that others started is ever stopped.

    ``num_cpus`` bounds the tasks at once of a Ray started here; None for one per core.

    Raises:
        OsteonError: ``no-ray``: no cluster answers at ``RAY_ADDRESS``, or it wants another token; or none starts here.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    with redirect_stdout(sys.stderr):  # where Ray says what it likes, from its first moment to its last
        if address := os.environ.get("RAY_ADDRESS"):
            _join(address)
        else:
            _start(num_cpus)
        try:
            yield
        finally:
            ray.shutdown()


def _start(num_cpus: int | None) -> None:
    # Nobody preempts one's own machine: spare the process that would watch for it.
    os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")
    try:
        ray.init(
            address="local",
            num_cpus=num_cpus,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    except Exception as error:  # Ray has no kind of its own for a start that takes too long
        if "timed out during startup" not in str(error):
            raise
        what = "Ray was not started within the half minute that it gives itself"
        raise OsteonError("no-ray", what, remedy="try again when this machine is less busy") from error


def _join(address: str) -> None:
    problem = OsteonError(
        "no-ray",
        f"no Ray cluster lets us in at {address}",
        where="RAY_ADDRESS",
        remedy="check the address, and RAY_AUTH_MODE=token with RAY_AUTH_TOKEN if the cluster wants one",
    )
    if not _answers(address):
        raise problem
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, runtime_env=_surroundings())
    except (ConnectionError, ValueError) as error:
        raise problem from error


def _surroundings() -> dict[str, dict[str, str]]:
    """What processes elsewhere must know of this one's; those of this machine inherit it."""
    return {"env_vars": {VARIABLE: os.environ[VARIABLE]}} if VARIABLE in os.environ else {}


def _answers(address: str) -> bool:
    """Whether somebody listens at ``host:port``; Ray itself would try for minutes. Others are Ray's to find."""
    host, _, port = address.rpartition(":")
    if "/" in host or not port.isdecimal():
        return True
    try:
        socket.create_connection((host, int(port)), CONNECT_TIMEOUT_S).close()
    except OSError:
        return False
    return True
