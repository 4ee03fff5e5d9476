"""The slice-wise U-Net of Krawczyk 2021, on a plain encoder, VGG-16 or ResNet-50.

Legend: N slices, C channels, F features, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.models.encoders2d import VGG16, PlainEncoder
from osteon.models.network import initialise
from osteon.models.resnet50 import ResNet50
from osteon.models.slicewise import SliceNetwork, Unit2d


class UNet2d(SliceNetwork):
    """A U-Net (Ronneberger et al. 2015, arXiv:1505.04597) with one convolution per level, as Krawczyk 2021 ran it.

    The encoder's maps have a half to a sixteenth of the resolution. The coarsest goes through a convolution; each
    step up repeats pixels, joins the encoder's map of that level and convolves. The finest map, of half the
    resolution, is scored and the scores are enlarged.

    Args:
        num_classes: K, the background counted.
        encoder: gives maps of a half, a quarter … of the resolution, ``encoder.widths`` channels each.
        decoder_channels: features per level of the decoder, finest first; the last is the bottleneck.
    """

    def __init__(
        self, num_classes: int, encoder: PlainEncoder | VGG16 | ResNet50, decoder_channels: Sequence[int]
    ) -> None:
        skips = encoder.widths
        super().__init__(num_classes, decoder_channels[0], step=2, multiple=2 ** len(skips))
        self.encoder = encoder
        self.bottleneck = Unit2d(skips[-1], decoder_channels[-1])
        levels = range(len(skips) - 2, -1, -1)
        self.units = nn.ModuleList(
            Unit2d(decoder_channels[level + 1] + skips[level], decoder_channels[level]) for level in levels
        )
        initialise(self, 0.0)

    def slice_features(self, x_NCYX: Tensor) -> Tensor:
        """The decoder's finest map, of half the slice's resolution."""
        *skips, coarsest = self.encoder(x_NCYX)
        map_: Tensor = self.bottleneck(coarsest)
        for unit, skip in zip(self.units, reversed(skips), strict=True):
            map_ = unit(torch.cat([functional.interpolate(map_, scale_factor=2.0), skip], dim=1))
        return map_
