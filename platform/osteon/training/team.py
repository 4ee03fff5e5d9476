"""The workers that train one network together, seen from one of them. Knows torch.distributed, not who starts it."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

Value = TypeVar("Value")


class Team:
    """One worker's view of its process group; alone when none was set up."""

    def __init__(self) -> None:
        grouped = distributed.is_available() and distributed.is_initialized()
        self.rank: int = distributed.get_rank() if grouped else 0
        self.size: int = distributed.get_world_size() if grouped else 1

    @property
    def leads(self) -> bool:
        """Whether this worker writes what is written once."""
        return self.rank == 0

    def share(self, module: nn.Module, device: torch.device) -> nn.Module:
        """The module with its gradients averaged over the team."""
        if self.size == 1:
            return module
        return DistributedDataParallel(module, device_ids=[device] if device.type == "cuda" else None)

    def gather(self, value: Value) -> list[Value]:
        """Everyone's value, in order of rank; any small picklable thing."""
        if self.size == 1:
            return [value]
        values: list[Value | None] = [None] * self.size
        distributed.all_gather_object(values, value)
        return [value for value in values if value is not None]

    def agree(self, value: float, device: torch.device) -> float:
        """The leader's value, for everyone."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=device)
        distributed.broadcast(shared, src=0)
        return float(shared.item())
