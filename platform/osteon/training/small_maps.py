"""Convolutions that stay in float32 where a map is smaller than their kernel: torch's bfloat16 ones are wrong there.

On CPUs (torch 2.13, oneDNN 3.12) gradients of such convolutions now and then hold what lay in memory before: filled
with NaN beforehand, it showed for 2 voxels under a 3x3x3 kernel and for 3 or 4 under 5x5x5, in 2D for 1 under 5x5. Maps
that small are the bottlenecks of small patches, and cost next to nothing in float32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class _Exact2d(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        if not _is_small(input, self.kernel_size):
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


class _Exact3d(nn.Conv3d):
    def forward(self, input: Tensor) -> Tensor:
        if not _is_small(input, self.kernel_size):
            return super().forward(input)
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.float())


EXACT: dict[type[nn.Module], type[nn.Module]] = {nn.Conv2d: _Exact2d, nn.Conv3d: _Exact3d}


def keep_small_maps_exact(network: nn.Module) -> None:
    """Replace, in place, every convolution that can meet a map smaller than its kernel; weights and names stay.

    The network then computes as before, but under autocast such maps in float32.
    """
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Conv2d | nn.Conv3d) and type(child) in EXACT and max(child.kernel_size) > 1:
                setattr(parent, name, _converted(child))


def _converted(convolution: nn.Module) -> nn.Module:
    exact = EXACT[type(convolution)]
    made = exact.__new__(exact)
    made.__dict__ = convolution.__dict__  # the very parameters, so that optimisers and checkpoints see no difference
    return made


def _is_small(input: Tensor, kernel: tuple[int, ...]) -> bool:
    return any(side < reach for side, reach in zip(input.shape[2:], kernel, strict=True))
