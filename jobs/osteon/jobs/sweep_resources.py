"""What of a cluster a trial holds, and how many trials fit on it at once."""

from __future__ import annotations

from collections.abc import Mapping

import ray
from pydantic import BaseModel, ConfigDict

from osteon.core.errors import BadInput
from osteon.jobs.waiting import Bundle, await_room, bundle_of, may_grow
from osteon.recipes.sweep import ResourceSpec


class Hold(BaseModel):
    """What a trial holds while it trains; to evaluate it holds what one worker does.

    Attributes:
        workers: training workers.
        cpus: processors of each.
        gpus: GPUs of each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int
    cpus: int
    gpus: float

    @property
    def all_cpus(self) -> int:
        """Processors of all workers."""
        return self.workers * self.cpus

    @property
    def all_gpus(self) -> float:
        """GPUs of all workers."""
        return self.workers * self.gpus

    @property
    def bundles(self) -> list[Bundle]:
        """What each worker holds."""
        return [bundle_of(self.cpus, self.gpus)] * self.workers


def hold_of(spec: ResourceSpec) -> Hold:
    """What each trial holds of the Ray that is there; on a cluster, once there is room for one.

    What the spec leaves open: a GPU for each worker where there are any, with its share of the processors; else one
    processor.

    Raises:
        BadInput: ``too-few-resources`` if not one trial fits on this machine.
    """
    hold = None
    while (found := _hold_of(spec, ray.cluster_resources())) != hold:  # with the first node a GPU may have come
        hold = found
        await_room(hold.bundles)
    if not may_grow() and not _num_fitting(hold):
        raise _too_few(hold)
    return hold


def num_parallel(spec: ResourceSpec, hold: Hold) -> int:
    """How many trials may run now: as many as fit, or fewer if the spec says so.

    On a cluster as many as the spec says, though they do not fit: those that wait are what makes it add nodes.
    """
    fitting = max(1, _num_fitting(hold))
    if spec.parallel is None:
        return fitting
    return spec.parallel if may_grow() else min(spec.parallel, fitting)


def _hold_of(spec: ResourceSpec, there: Mapping[str, float]) -> Hold:
    cpus_there, gpus_there = there.get("CPU", 0.0), there.get("GPU", 0.0)
    gpus = spec.gpus if spec.gpus is not None else float(gpus_there > 0)
    cpus = spec.cpus or (max(1, int(cpus_there / gpus_there * gpus)) if gpus and gpus_there else 1)
    return Hold(workers=spec.workers, cpus=cpus, gpus=gpus)


def _num_fitting(hold: Hold) -> int:
    there = ray.cluster_resources()
    fitting = int(there.get("CPU", 0.0) / hold.all_cpus)
    return min(fitting, int(there.get("GPU", 0.0) / hold.all_gpus)) if hold.gpus else fitting


def _too_few(hold: Hold) -> BadInput:
    there = ray.cluster_resources()
    return BadInput(
        "too-few-resources",
        f"a trial wants {hold.all_cpus} processors and {hold.all_gpus:g} GPUs; "
        f"there are {there.get('CPU', 0.0):g} and {there.get('GPU', 0.0):g}",
        where="resources",
        remedy="lower resources.workers, cpus or gpus",
    )
