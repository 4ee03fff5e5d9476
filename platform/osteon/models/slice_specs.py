"""The numbers of the networks that see axial slices one by one, and of the one that sees slices across three axes.

The defaults are those of Krawczyk 2021 (table 2) and Saillard 2023. Parameters counted for three classes; the paper's
trainable ones are a little more, because its slices have three channels, its last convolutions are 3x3 and its
convolutions before a norm have biases:

| architecture    |       here | the paper  |
|-----------------|-----------:|-----------:|
| fcn32           | 69,728,707 | 69,767,683 |
| fcn8            | 69,730,243 | 69,734,953 |
| pspnet          |  3,261,379 |  3,275,779 |
| unet2d          |  4,464,643 |  4,468,995 |
| segnet2d        |  3,727,491 |  3,694,851 |
| unet2d-vgg16    | 12,317,955 |            |
| unet2d-resnet50 | 16,317,443 |            |
| multiaxial      | 34,584,858 |     34.5 M |
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from osteon.core.geometry import Index3
from osteon.models.encoders2d import VGG16, PlainEncoder
from osteon.models.fcn import FCN
from osteon.models.multiaxial import MultiAxialUNet
from osteon.models.network import NetworkSpec
from osteon.models.pspnet import POOLED, PSPNet
from osteon.models.resnet50 import ResNet50
from osteon.models.segnet2d import SegNet2d
from osteon.models.unet2d import UNet2d

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
PRETRAINED_STRIDE = 16  # of VGG-16's first four blocks, and of ResNet-50's stem and first three stages


class FCNSpec(NetworkSpec):
    """The numbers of FCN-32 and FCN-8."""

    architecture: Literal["fcn32", "fcn8"] = Field(
        default="fcn8", description="fcn32: the coarsest map is scored; fcn8: it and two finer ones."
    )
    channels: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256, 256, 256), min_length=3, max_length=6, description="Features per level, finest first."
    )
    hidden: PositiveInt = Field(default=4096, description="Features of the two wide convolutions on the coarsest map.")

    @property
    def stride(self) -> Index3:
        """Every level halves y and x."""
        return _in_plane(2 ** len(self.channels))

    def build(self, num_classes: int) -> FCN:
        """The network with fresh weights."""
        return FCN(num_classes, self.channels, self.hidden, fine=self.architecture == "fcn8")


class PSPNetSpec(NetworkSpec):
    """The numbers of a PSPNet."""

    architecture: Literal["pspnet"] = Field(default="pspnet", description="The kind of network.")
    channels: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256, 256, 256),
        min_length=POOLED + 1,
        max_length=POOLED + 3,
        description="Features per level, finest first; from the fourth on levels dilate in place of pooling.",
    )
    pyramid: PositiveInt = Field(default=512, description="Features of each branch of the pyramid, and of their mix.")

    @property
    def stride(self) -> Index3:
        """Three levels halve y and x."""
        return _in_plane(2**POOLED)

    def build(self, num_classes: int) -> PSPNet:
        """The network with fresh weights."""
        return PSPNet(num_classes, self.channels, self.pyramid)


class SegNet2dSpec(NetworkSpec):
    """The numbers of a slice-wise SegNet."""

    architecture: Literal["segnet2d"] = Field(default="segnet2d", description="The kind of network.")
    channels: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256, 256), min_length=2, max_length=6, description="Features per level, finest first."
    )
    bottleneck: PositiveInt = Field(default=512, description="Features to which the coarsest level widens.")

    @property
    def stride(self) -> Index3:
        """Every level halves y and x."""
        return _in_plane(2 ** len(self.channels))

    def build(self, num_classes: int) -> SegNet2d:
        """The network with fresh weights."""
        return SegNet2d(num_classes, self.channels, self.bottleneck)


class UNet2dSpec(NetworkSpec):
    """The numbers of a slice-wise U-Net."""

    architecture: Literal["unet2d"] = Field(default="unet2d", description="The kind of network.")
    channels: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256, 256),
        min_length=2,
        max_length=6,
        description="Features per level of the encoder, finest first.",
    )
    decoder: tuple[PositiveInt, ...] = Field(
        default=(64, 128, 256, 512),
        description="Features per level of the decoder, finest first; the last is the bottleneck.",
    )

    @model_validator(mode="after")
    def _levels_match(self) -> UNet2dSpec:
        if len(self.decoder) != len(self.channels):
            raise ValueError(f"{len(self.decoder)} decoder levels for {len(self.channels)} of the encoder")
        return self

    @property
    def stride(self) -> Index3:
        """Every level halves y and x."""
        return _in_plane(2 ** len(self.channels))

    def build(self, num_classes: int) -> UNet2d:
        """The network with fresh weights."""
        return UNet2d(num_classes, PlainEncoder(self.channels), self.decoder)


class PretrainedUNet2dSpec(NetworkSpec):
    """The numbers of a slice-wise U-Net whose encoder is a classifier's, and the weights the encoder starts from."""

    architecture: Literal["unet2d-vgg16", "unet2d-resnet50"] = Field(
        default="unet2d-resnet50", description="The encoder: VGG-16's first four blocks, or ResNet-50's three stages."
    )
    decoder: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(64, 128, 256, 512),
        description="Features per level of the decoder, finest first; the last is the bottleneck.",
    )
    pretrained: str | None = Field(
        default=None,
        description="Path or URL (file, s3, https) of a state dict with torchvision's names, for example ImageNet's "
        "resnet50-0676ba61.pth; training starts from it. Null: fresh weights.",
    )
    pretrained_sha256: Sha256 | None = Field(default=None, description="SHA-256 of that file, in hexadecimal.")

    @model_validator(mode="after")
    def _digest_belongs_to_a_file(self) -> PretrainedUNet2dSpec:
        if (self.pretrained is None) != (self.pretrained_sha256 is None):
            raise ValueError("pretrained and pretrained_sha256 go together: `sha256sum FILE` prints the digest")
        return self

    @property
    def stride(self) -> Index3:
        """The encoder's."""
        return _in_plane(PRETRAINED_STRIDE)

    def build(self, num_classes: int) -> UNet2d:
        """The network with fresh weights; those of `pretrained` are put in when training starts."""
        encoder = VGG16() if self.architecture == "unet2d-vgg16" else ResNet50()
        return UNet2d(num_classes, encoder, self.decoder)


class MultiAxialSpec(NetworkSpec):
    """The numbers of three 2D U-Nets that vote."""

    architecture: Literal["multiaxial"] = Field(default="multiaxial", description="The kind of network.")
    channels: tuple[PositiveInt, ...] = Field(
        default=(39, 78, 156, 312, 624),
        min_length=2,
        max_length=7,
        description="Features per level of each U-Net, finest first.",
    )

    @property
    def stride(self) -> Index3:
        """Every level halves two axes of three, in turn."""
        step = 2 ** (len(self.channels) - 1)
        return (step, step, step)

    def build(self, num_classes: int) -> MultiAxialUNet:
        """The network with fresh weights."""
        return MultiAxialUNet(num_classes, self.channels)


def _in_plane(multiple: int) -> Index3:
    return (1, multiple, multiple)
