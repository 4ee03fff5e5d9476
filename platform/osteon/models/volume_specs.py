"""The numbers of the networks that see one block of voxels in three dimensions.

Networks made of MONAI's blocks are imported when one is built: MONAI takes 270 MB in every process that imports it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, PositiveInt, model_validator

from osteon.core.geometry import Index3
from osteon.models.deep_supervision import cumulative
from osteon.models.kiunet3d import KiUNet3d
from osteon.models.network import NetworkSpec
from osteon.models.unet3d import UNet3d

if TYPE_CHECKING:
    from osteon.models.classic_unet import ClassicUNet3d
    from osteon.models.nnunet import NnUNet
    from osteon.models.segnet3d import SegNet3d
    from osteon.models.vnet import VNet

Stride = tuple[Literal[1, 2], Literal[1, 2], Literal[1, 2]]
Kernel = tuple[Literal[1, 3], Literal[1, 3], Literal[1, 3]]


class _NormedSpec(NetworkSpec):
    """Numbers of a network whose norm needs more than one voxel at the bottleneck."""

    def check_shape(self, shape: Index3) -> None:
        """The bottleneck must be more than one voxel, or its norm would leave nothing of it."""
        super().check_shape(shape)
        if shape == self.stride:
            raise ValueError(f"must be at least {2 * self.stride[0]} along one axis")


class _SupervisedSpec(_NormedSpec):
    """Numbers of a U-shaped network with deep supervision."""

    channels: tuple[int, ...] = Field(
        default=(16, 32, 64, 128, 256), min_length=2, max_length=7, description="Features per level, finest first."
    )
    num_auxiliary: int = Field(
        default=2, ge=0, description="Coarser decoder levels that are supervised too (deep supervision); 0 for none."
    )

    @model_validator(mode="after")
    def _levels_exist(self) -> _SupervisedSpec:
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
        return _halved(len(self.channels) - 1)


class UNet3dSpec(_SupervisedSpec):
    """The numbers of a plain 3D U-Net."""

    architecture: Literal["unet3d"] = Field(default="unet3d", description="The kind of network.")

    def build(self, num_classes: int) -> UNet3d:
        """The network with fresh weights."""
        return UNet3d(num_classes, self.channels, self.num_auxiliary)


class ClassicUNet3dSpec(_SupervisedSpec):
    """The numbers of the 3D U-Net as first described, or of its residual form."""

    architecture: Literal["classic-unet3d", "resunet3d"] = Field(
        default="classic-unet3d",
        description="classic-unet3d: the 3D U-Net of Cicek et al. 2016, with batch norm and max pooling; resunet3d: "
        "the same with residual blocks.",
    )
    channels: tuple[int, ...] = Field(
        default=(64, 128, 256, 512), min_length=2, max_length=7, description="Features per level, finest first."
    )

    def build(self, num_classes: int) -> ClassicUNet3d:
        """The network with fresh weights."""
        from osteon.models.classic_unet import ClassicUNet3d

        residual = self.architecture == "resunet3d"
        return ClassicUNet3d(num_classes, self.channels, self.num_auxiliary, residual=residual)


class NnUNetSpec(_SupervisedSpec):
    """The numbers of nnU-Net's U-Net; ``osteon recipes nnunet`` derives them from a dataset."""

    architecture: Literal["nnunet"] = Field(default="nnunet", description="The kind of network.")
    channels: tuple[int, ...] = Field(
        default=(32, 64, 128, 256, 320, 320),
        min_length=2,
        max_length=9,
        description="Features per level, finest first.",
    )
    strides: tuple[Stride, ...] = Field(
        default=((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2)),
        description="Step to each level from the one above it, along z, y, x.",
    )
    kernels: tuple[Kernel, ...] = Field(
        default=((3, 3, 3),) * 6, description="Sides of the convolutions of each level, along z, y, x."
    )
    num_auxiliary: int = Field(
        default=3, ge=0, description="Coarser decoder levels that are supervised too (deep supervision); 0 for none."
    )

    @model_validator(mode="after")
    def _levels_agree(self) -> NnUNetSpec:
        if not len(self.channels) == len(self.strides) == len(self.kernels):
            raise ValueError(
                f"channels, strides and kernels must name as many levels, not {len(self.channels)}, "
                f"{len(self.strides)} and {len(self.kernels)}"
            )
        if self.strides[0] != (1, 1, 1):
            raise ValueError(f"the finest level's stride must be [1, 1, 1], not {list(self.strides[0])}")
        return self

    @property
    def stride(self) -> Index3:
        """The product of the levels' strides."""
        return cumulative(self.strides)[-1]

    def build(self, num_classes: int) -> NnUNet:
        """The network with fresh weights."""
        from osteon.models.nnunet import NnUNet

        return NnUNet(num_classes, self.channels, self.strides, self.kernels, self.num_auxiliary)


class SegNet3dSpec(NetworkSpec):
    """The numbers of a SegNet of 3x3x3 convolutions."""

    architecture: Literal["segnet3d"] = Field(default="segnet3d", description="The kind of network.")
    channels: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256, 512),
        min_length=1,
        max_length=6,
        description="Features per level, finest first; every level ends in pooling.",
    )
    depths: tuple[PositiveInt, ...] = Field(default=(2, 2, 3, 3), description="Convolutions of each level.")

    @model_validator(mode="after")
    def _levels_agree(self) -> SegNet3dSpec:
        if len(self.channels) != len(self.depths):
            raise ValueError(
                f"channels and depths must name as many levels, not {len(self.channels)} and {len(self.depths)}"
            )
        return self

    @property
    def stride(self) -> Index3:
        """Every level halves all axes."""
        return _halved(len(self.channels))

    def build(self, num_classes: int) -> SegNet3d:
        """The network with fresh weights."""
        from osteon.models.segnet3d import SegNet3d

        return SegNet3d(num_classes, self.channels, self.depths)


class KiUNet3dSpec(NetworkSpec):
    """The numbers of a KiU-Net."""

    architecture: Literal["kiunet3d"] = Field(default="kiunet3d", description="The kind of network.")
    channels: tuple[PositiveInt, ...] = Field(
        default=(16, 32), min_length=1, max_length=4, description="Features per level, finest first."
    )
    enlarge: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(1, 2, 2),
        description="How many times the overcomplete branch grows along z, y, x at every level. Its memory grows by "
        "their product with every level.",
    )

    @model_validator(mode="after")
    def _something_grows(self) -> KiUNet3dSpec:
        if math.prod(self.enlarge) == 1:
            raise ValueError("enlarge must be more than 1 along one axis")
        return self

    @property
    def stride(self) -> Index3:
        """Every level of the U-Net branch halves all axes, and leaves two voxels."""
        return _halved(len(self.channels) + 1)

    def build(self, num_classes: int) -> KiUNet3d:
        """The network with fresh weights."""
        return KiUNet3d(num_classes, self.channels, self.enlarge)


class VNetSpec(_NormedSpec):
    """The numbers of a V-Net."""

    architecture: Literal["vnet"] = Field(default="vnet", description="The kind of network.")
    width: PositiveInt = Field(
        default=16, description="Features of the finest stage; each coarser one has twice as many."
    )
    depths: tuple[PositiveInt, ...] = Field(
        default=(2, 3, 3, 3),
        min_length=1,
        max_length=5,
        description="5x5x5 convolutions of each stage below the finest, which has one; the decoder's alike.",
    )

    @property
    def stride(self) -> Index3:
        """Every stage halves all axes."""
        return _halved(len(self.depths))

    def build(self, num_classes: int) -> VNet:
        """The network with fresh weights."""
        from osteon.models.vnet import VNet

        return VNet(num_classes, self.width, self.depths)


def _halved(times: int) -> Index3:
    return (2**times, 2**times, 2**times)
