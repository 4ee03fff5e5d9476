"""What of a cluster a trial holds, and how many trials fit on it at once."""

from __future__ import annotations

import ray
from pydantic import BaseModel, ConfigDict

from osteon.core.errors import BadInput
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


def share_out(spec: ResourceSpec) -> tuple[Hold, int]:
    """What each trial holds of the Ray that is there, and how many fit at once.

    What the spec leaves open: a GPU for each worker where there are any, with its share of the processors; else one
    processor.

    Raises:
        BadInput: ``too-few-resources`` if not one trial fits.
    """
    has = ray.cluster_resources()
    cpus_there, gpus_there = has.get("CPU", 0.0), has.get("GPU", 0.0)
    gpus = spec.gpus if spec.gpus is not None else float(gpus_there > 0)
    cpus = spec.cpus or (max(1, int(cpus_there / gpus_there * gpus)) if gpus and gpus_there else 1)
    hold = Hold(workers=spec.workers, cpus=cpus, gpus=gpus)
    fitting = int(cpus_there / hold.all_cpus)
    if gpus:
        fitting = min(fitting, int(gpus_there / hold.all_gpus))
    if not fitting:
        raise BadInput(
            "too-few-resources",
            f"a trial wants {hold.all_cpus} processors and {hold.all_gpus:g} GPUs; "
            f"there are {cpus_there:g} and {gpus_there:g}",
            where="resources",
            remedy="lower resources.workers, cpus or gpus",
        )
    return hold, min(spec.parallel or fitting, fitting)
