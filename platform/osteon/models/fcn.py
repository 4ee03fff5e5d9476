"""Fully convolutional networks FCN-32 and FCN-8 (Long et al. 2015, arXiv:1411.4038) on the encoder of Krawczyk 2021.

Legend: N slices, C channels, F features, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from osteon.models.encoders2d import PlainEncoder
from osteon.models.network import initialise
from osteon.models.slicewise import SliceNetwork, enlarged

KERNEL = 7  # of the first layer that was fully connected in the classifier
DROPPED = 0.5  # share of its features, and of the next one's, that training leaves out


class FCN(SliceNetwork):
    """Two wide convolutions on the coarsest map, scored there (FCN-32) or together with two finer maps (FCN-8).

    FCN-8 adds up the scores of three maps, each enlarged: that is one 1x1 head on the three maps enlarged in the same
    way and laid on top of each other, which is how it is computed here. All enlargements are bilinear; Long et al.
    begin with that and let the inner ones be learnt, which gained them little.

    Args:
        num_classes: K, the background counted.
        channels: of the encoder's levels; the last three are scored in FCN-8.
        hidden: channels of the wide convolutions.
        fine: whether the finer maps count: FCN-8 in place of FCN-32.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], hidden: int, *, fine: bool) -> None:
        num_features = hidden + (sum(channels[-3:-1]) if fine else 0)
        multiple = 2 ** len(channels)
        super().__init__(num_classes, num_features, step=multiple // 4 if fine else multiple, multiple=multiple)
        self.encoder = PlainEncoder(channels)
        self.wide = nn.Sequential(
            nn.Conv2d(channels[-1], hidden, KERNEL, padding=KERNEL // 2),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPPED),
            nn.Conv2d(hidden, hidden, 1),
            nn.ReLU(inplace=True),
            nn.Dropout(DROPPED),
        )
        self._fine = fine
        initialise(self, 0.0)

    def slice_features(self, x_NCYX: Tensor) -> Tensor:
        """The wide features, of 1/32 of the resolution; with the two finer maps, of 1/8."""
        maps = self.encoder(x_NCYX)
        features: Tensor = self.wide(maps[-1])
        if self._fine:
            for finer in (maps[-2], maps[-3]):
                features = torch.cat([enlarged(features), finer], dim=1)
        return features
