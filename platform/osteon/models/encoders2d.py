"""Encoders of slices that give the maps of several resolutions: the plain one of Krawczyk 2021, and VGG-16.

Legend: N slices, C channels, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from osteon.models.slicewise import Unit2d

VGG16_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512))


class PlainEncoder(nn.ModuleList):
    """One 3x3 convolution, norm, ReLU and 2x2 max-pooling per level: the encoder that Krawczyk 2021 trained.

    The paper took its networks from Gupta's "Semantic segmentation library" (its reference 24); the widths 64, 128,
    256, 256, 256 give the numbers of parameters of its table 2.

    Args:
        channels: per level.
        in_channels: of the slices.
    """

    def __init__(self, channels: Sequence[int], in_channels: int = 1) -> None:
        widths = [in_channels, *channels]
        super().__init__(
            nn.Sequential(Unit2d(widths[level], width), nn.MaxPool2d(2)) for level, width in enumerate(channels)
        )
        self.widths = tuple(channels)

    def forward(self, x_NCYX: Tensor) -> list[Tensor]:
        """The map of every level, finest first; that of level n has Y and X divided by 2^(n + 1)."""
        maps: list[Tensor] = []
        for level in self:
            maps.append(level(maps[-1] if maps else x_NCYX))
        return maps


class VGG16(nn.Module):
    """The first four blocks of VGG-16 (Simonyan & Zisserman 2015, arXiv:1409.1556), each ending in max-pooling.

    Parameters have torchvision's names (``features.0.weight`` …), so that its ImageNet weights fit.
    """

    widths = tuple(block[-1] for block in VGG16_BLOCKS)
    first = "features.0.weight"

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        width = 1
        for block in VGG16_BLOCKS:
            for out in block:
                layers += [nn.Conv2d(width, out, 3, padding=1), nn.ReLU(inplace=True)]
                width = out
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)

    def forward(self, x_NCYX: Tensor) -> list[Tensor]:
        """The map of every block, finest first; that of block n has Y and X divided by 2^(n + 1)."""
        maps = []
        for layer in self.features:
            x_NCYX = layer(x_NCYX)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x_NCYX)
        return maps
