"""What the augmentations share: a chance per sample, parameters drawn on the CPU, and axis-by-axis linear maps.

A batch is augmented as its views: view k is the k-th of (target, context 1, context 2 …), whose voxels are 2^k times
the target's, all centred on one point. Parameters are drawn once per sample and mean the same in every view.
Letters: B batch, C channel, Z Y X voxels, I J K other voxels or control points, D one of the axes z, y, x.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch import Generator, Tensor

Views = list[Tensor]
"""Images BCZYX, the target first; a transform may overwrite them."""
Labels = list[Tensor]
"""Classes BZYX of as many views as have them, the target first; likewise."""


def _in_order(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError(f"must be (lowest, highest), not {limits}")
    return limits


def _positive(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] <= 0:
        raise ValueError(f"must be above 0, not {limits[0]}")
    return limits


def _is_share(limits: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= limits[0] <= limits[1] <= 1:
        raise ValueError(f"must lie between 0 and 1, not {limits}")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_in_order)]
Factor = Annotated[Range, AfterValidator(_positive)]
Share = Annotated[Range, AfterValidator(_is_share)]
Probability = Annotated[float, Field(ge=0, le=1, description="Chance of a sample to be changed; 0 turns it off.")]


class Transform(BaseModel):
    """Settings of one augmentation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: Probability = 0.0

    def draw_rows(self, num_samples: int, generator: Generator) -> Tensor:
        """The samples to change: indices (n,), on the CPU."""
        return (torch.rand(num_samples, generator=generator) < self.probability).nonzero().flatten()


def draw_between(limits: tuple[float, float], shape: tuple[int, ...], generator: Generator) -> Tensor:
    """Values drawn evenly from a range: float32 of ``shape``, on the CPU so that every device gets the same."""
    low, high = limits
    return torch.rand(shape, generator=generator) * (high - low) + low


def per_sample(values_B: Tensor, like_BCZYX: Tensor) -> Tensor:
    """One value per sample, on the device of a view and of its rank."""
    return values_B.to(like_BCZYX.device).reshape(-1, 1, 1, 1, 1)


def range_of(views: Views, where: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value (n,) of the samples ``where``, over all views."""
    low = torch.stack([view[where].amin(dim=(1, 2, 3, 4)) for view in views]).amin(0)
    high = torch.stack([view[where].amax(dim=(1, 2, 3, 4)) for view in views]).amax(0)
    return low, high


def map_axes(block_BCIJK: Tensor, weights_BZI: Tensor, weights_BYJ: Tensor, weights_BXK: Tensor) -> Tensor:
    """BCZYX: a linear map along each axis, with a matrix per sample and axis: blur, zoom and splines are such maps."""
    batch, channels, depth, height, _ = block_BCIJK.shape
    x = torch.bmm(block_BCIJK.reshape(batch, -1, block_BCIJK.shape[-1]), weights_BXK.transpose(1, 2))
    x = x.reshape(batch, channels * depth, height, -1)
    x = torch.matmul(weights_BYJ[:, None], x).reshape(batch, channels, depth, -1)
    x = torch.matmul(weights_BZI[:, None], x)
    return x.reshape(batch, channels, weights_BZI.shape[1], weights_BYJ.shape[1], weights_BXK.shape[1])
