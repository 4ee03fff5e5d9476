"""The pyramid scene parsing network (Zhao et al. 2017, arXiv:1612.01105) on the encoder of Krawczyk 2021.

Legend: N slices, C channels, F features, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.core.errors import BadInput
from osteon.models.encoders2d import PlainEncoder
from osteon.models.network import initialise
from osteon.models.slicewise import SliceNetwork, Unit2d

POOLED = 3  # levels of the encoder that halve the resolution; Zhao et al. keep an eighth of it
BINS = (1, 2, 3, 6)  # cells along each axis into which the pyramid pools a slice


class PSPNet(SliceNetwork):
    """Averages over the whole slice and over its parts join every pixel's features.

    The last two levels of the encoder do not pool but dilate their convolutions by 2 and 4, as Zhao et al. do, so the
    map that is scored has an eighth of the resolution. Every branch of the pyramid has as many channels as its mix.

    Args:
        num_classes: K, the background counted.
        channels: of the encoder's levels, more than three.
        num_features: F, of each of the pyramid's branches and of their mix.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], num_features: int) -> None:
        multiple = 2**POOLED
        super().__init__(num_classes, num_features, step=multiple, multiple=multiple)
        self.encoder = PlainEncoder(channels[:POOLED])
        pairs = zip(channels[POOLED - 1 :], channels[POOLED:], strict=False)
        self.dilated = nn.Sequential(*(Unit2d(a, b, dilation=2**n) for n, (a, b) in enumerate(pairs, start=1)))
        self.branches = nn.ModuleList(Unit2d(channels[-1], num_features, kernel=1) for _ in BINS)
        self.mix = Unit2d(channels[-1] + len(BINS) * num_features, num_features, kernel=1)
        initialise(self, 0.0)

    def slice_features(self, x_NCYX: Tensor) -> Tensor:
        """The mix of every pixel's features with those of the cells around it, of an eighth of the resolution.

        Raises:
            BadInput: ``one-slice``, in training: the norm of a single whole-slice average would leave nothing of it.
        """
        if self.training and len(x_NCYX) == 1:
            raise BadInput(
                "one-slice",
                "a PSPNet cannot be trained on one slice at a time",
                remedy="raise training.batch_size, or the first of sampling.patch_shape",
            )
        local = self.dilated(self.encoder(x_NCYX)[-1])
        size = local.shape[2:]
        maps = [local]
        for bins, branch in zip(BINS, self.branches, strict=True):
            cells = branch(functional.adaptive_avg_pool2d(local, bins))
            maps.append(functional.interpolate(cells, size=size, mode="bilinear", align_corners=False))
        mixed: Tensor = self.mix(torch.cat(maps, dim=1))
        return mixed
