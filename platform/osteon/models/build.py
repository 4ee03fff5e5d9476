"""From the numbers of a recipe to a network: the only place that turns specifications into layers."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import nn

from osteon.models.unet3d import UNet3d


class UNet3dSpec(BaseModel):
    """The numbers of a plain 3D U-Net."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Literal["unet3d"] = Field(default="unet3d", description="The kind of network.")
    channels: tuple[int, ...] = Field(
        default=(16, 32, 64, 128, 256), min_length=2, max_length=7, description="Features per level, finest first."
    )
    num_auxiliary: int = Field(
        default=2, ge=0, description="Coarser decoder levels that are supervised too (deep supervision); 0 for none."
    )

    @model_validator(mode="after")
    def _levels_exist(self) -> UNet3dSpec:
        if min(self.channels) < 1:
            raise ValueError(f"channels must be positive, not {list(self.channels)}")
        if self.num_auxiliary > len(self.channels) - 2:
            raise ValueError(
                f"num_auxiliary {self.num_auxiliary} is more than the {len(self.channels) - 2} decoder levels "
                f"below the finest that {len(self.channels)} channels give"
            )
        return self

    @property
    def stride(self) -> int:
        """What every axis of an input must be a multiple of."""
        return int(2 ** (len(self.channels) - 1))


ModelSpec = UNet3dSpec
"""The numbers of any network Osteon can build."""


def build(spec: ModelSpec, *, in_channels: int, num_classes: int) -> UNet3d:
    """The network of ``spec`` with fresh weights; ``num_classes`` counts the background."""
    return UNet3d(in_channels, num_classes, spec.channels, spec.num_auxiliary)


def num_parameters(network: nn.Module) -> int:
    """How many trainable numbers the network has."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)
