"""Handing a job to a cluster, once: the same work has the same id, and a cluster takes an id only once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from osteon.jobs.submit_order import Order
from osteon.jobs.submit_server import JobsServer, JobView

Standing = Literal["submitted", "running", "ended"]


@dataclass(frozen=True)
class Submission:
    """How a job stands after it was asked for.

    Attributes:
        standing: ``submitted`` by this call; ``running`` (or waiting) or ``ended`` since an earlier one.
        job: as the cluster knows it.
    """

    standing: Standing
    job: JobView


def submit(order: Order, server: JobsServer, *, again: bool = False) -> Submission:
    """Hand an order over, unless the same work is under way, or was done before and is not wanted ``again``.

    Raises:
        OsteonError: what `JobsServer` refuses.
    """
    last, following = _attempts(order.id, server)
    if last is not None and not (last := server.settled(last)).is_over:
        return Submission("running", last)
    if last is not None and not again:
        return Submission("ended", last)
    taken = server.submit(order, following)
    return Submission("submitted" if taken else "running", server.job(following))


def _attempts(id_: str, server: JobsServer) -> tuple[JobView | None, str]:
    """The last attempt at this work, if there was any, and the id of the next one."""
    last, number, following = None, 1, id_
    while (found := server.find(following)) is not None:
        last, number = found, number + 1
        following = f"{id_}-{number}"
    return last, following
