"""The numbers of the networks that see one block of voxels in three dimensions."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from osteon.core.geometry import Index3
from osteon.models.network import NetworkSpec
from osteon.models.unet3d import UNet3d


class UNet3dSpec(NetworkSpec):
    """The numbers of a plain 3D U-Net."""

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
    def stride(self) -> Index3:
        """Every level halves all axes."""
        step = 2 ** (len(self.channels) - 1)
        return (step, step, step)

    def check_shape(self, shape: Index3) -> None:
        """The bottleneck must be more than one voxel, or its norm would leave nothing of it."""
        super().check_shape(shape)
        if shape == self.stride:
            raise ValueError(f"must be at least {2 * self.stride[0]} along one axis")

    def build(self, num_classes: int) -> UNet3d:
        """The network with fresh weights."""
        return UNet3d(num_classes, self.channels, self.num_auxiliary)
