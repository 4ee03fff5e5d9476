"""The torch engine: eager or compiled, on a CPU or a CUDA device, in float32 or bfloat16 autocast."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from osteon.core.geometry import Index3
from osteon.inference.agreement import measure_agreement, probe_patch
from osteon.inference.backends import OUTPUTS, Head, Output, Windows, computed, num_views_of

TIMED_RUNS = 3  # per memory layout, after one run in which kernels are chosen


@dataclass(frozen=True)
class Done:
    """A result that is there already, or queued on the device's stream."""

    tensor: Tensor

    def result(self) -> Tensor:
        """The tensor."""
        return self.tensor


class TorchBackend:
    """A network computed by torch; see `Backend`.

    Args:
        network: in evaluation mode, on the CPU.
        window_shape: voxels of a window.
        batch_size: windows computed at once.
        device: where to compute.
        half: bfloat16 autocast in place of float32.
        compiled: whether torch.compile is used; smaller batches are then filled up, so that one graph serves all.
    """

    def __init__(
        self,
        network: nn.Module,
        window_shape: Index3,
        batch_size: int,
        device: torch.device,
        *,
        half: bool = False,
        compiled: bool = False,
    ) -> None:
        self.name = f"torch {'compiled' if compiled else 'eager'} {'bfloat16' if half else 'float32'} on {device.type}"
        self.device = device
        self.depth = 1
        self.head = Head.of(network)
        self.num_views = num_views_of(network)
        self._half = half
        self._fixed_batch = batch_size if compiled else None
        moved: Any = copy.deepcopy(network).to(device)
        self._layout = torch.contiguous_format
        if device.type == "cuda":
            self._layout = self._faster_layout(moved, probe_patch(window_shape, self.num_views).to(device))
        moved = moved.to(memory_format=self._layout)
        self._forwards = {output: computed(moved, output) for output in OUTPUTS}
        if compiled:
            self._forwards = {output: torch.compile(forward) for output, forward in self._forwards.items()}
        self.agreement = measure_agreement(self.name, network, self._compute, window_shape)

    def submit(self, batch_BCZYX: Tensor, output: Output) -> Done:
        """The result: at once on a CPU, queued on a CUDA device."""
        count = len(batch_BCZYX)
        if self._fixed_batch is not None and count < self._fixed_batch:
            filling = batch_BCZYX[:1].expand(self._fixed_batch - count, -1, -1, -1, -1)
            batch_BCZYX = torch.cat([batch_BCZYX, filling])
        return Done(self._run(self._forwards[output], batch_BCZYX.to(memory_format=self._layout))[:count])

    def features(self, batch_BCZYX: Windows) -> Windows:
        """What the head reads, float32 (B, F, Z, Y, X)."""
        return self._compute(torch.from_numpy(batch_BCZYX), "features").numpy()

    def logits(self, batch_BCZYX: Windows) -> Windows:
        """Class scores, float32 (B, R * K, Z, Y, X)."""
        return self._compute(torch.from_numpy(batch_BCZYX), "logits").numpy()

    def _compute(self, batch_BCZYX: Tensor, output: Output) -> Tensor:
        return self.submit(batch_BCZYX.to(self.device), output).result().cpu()

    def _run(self, forward: Callable[[Tensor], Tensor], batch: Tensor) -> Tensor:
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            return forward(batch).float()

    def _faster_layout(self, network: Any, patch: Tensor) -> torch.memory_format:
        """Channels-last is faster for convolutions and slower for instance norm: which one wins depends on the net."""
        layouts = (torch.contiguous_format, torch.channels_last_3d)
        return min(layouts, key=lambda layout: self._seconds(network.to(memory_format=layout), patch, layout))

    def _seconds(self, network: nn.Module, patch: Tensor, layout: torch.memory_format) -> float:
        batch = patch.to(memory_format=layout)
        self._run(network, batch)
        torch.cuda.synchronize(self.device)
        start = time.perf_counter()
        for _ in range(TIMED_RUNS):
            self._run(network, batch)
        torch.cuda.synchronize(self.device)
        return time.perf_counter() - start
