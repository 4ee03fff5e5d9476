"""What of a cluster a training run may hold."""

from __future__ import annotations

from dataclasses import dataclass

import ray

from osteon.core.errors import BadInput
from osteon.jobs.waiting import await_room, bundle_of, may_grow, processors

Workers = int | tuple[int, int]


@dataclass(frozen=True)
class Share:
    """What of a cluster a run may hold.

    Attributes:
        workers: a number, or (fewest, most) for a cluster that grows and shrinks.
        cpus: processors per worker; None for an even share of those that are there.
        gpus: GPUs per worker; None for one where any are there.
    """

    workers: Workers = 1
    cpus: int | None = None
    gpus: float | None = None

    def per_worker(self) -> tuple[int, float]:
        """Processors and GPUs that each worker holds of the Ray that is there.

        Raises:
            BadInput: ``too-many-workers`` for this machine.
        """
        return self.cpus or _even_share(self._fewest_and_most[1]), self._gpus

    def await_room(self) -> None:
        """Wait until a cluster has room for the fewest workers."""
        await_room([bundle_of(self.cpus or 1, self._gpus)] * self._fewest_and_most[0])

    @property
    def _fewest_and_most(self) -> tuple[int, int]:
        return (self.workers, self.workers) if isinstance(self.workers, int) else self.workers

    @property
    def _gpus(self) -> float:
        return float(ray.cluster_resources().get("GPU", 0) > 0) if self.gpus is None else self.gpus


ONE_WORKER = Share()


def _even_share(workers: int) -> int:
    """The most processors that each of so many workers can have on the nodes that are there."""
    nodes = processors()
    if workers > sum(nodes) and not may_grow():
        raise BadInput(
            "too-many-workers",
            f"{workers} workers on {sum(nodes)} processors",
            where="--workers",
            remedy="ask for fewer",
        )
    shares = range(max(nodes, default=1), 0, -1)
    return next((each for each in shares if sum(there // each for there in nodes) >= workers), 1)
