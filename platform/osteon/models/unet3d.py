"""The 3D U-Net: an encoder, a decoder with skips, and a 1x1x1 head that can be applied apart from it.

Legend: B batch, C channels, F features, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from osteon.models.blocks import LEAK, Decoder, Encoder
from osteon.models.deep_supervision import DeeplySupervised, auxiliary_heads, halving_steps
from osteon.models.network import initialise


class UNet3d(DeeplySupervised):
    """A plain 3D U-Net (Cicek et al. 2016, arXiv:1606.06650) with instance norm and leaky ReLU (nnU-Net).

    Each level has two 3x3x3 convolutions; levels are joined by strided convolutions downwards and transposed
    convolutions upwards.

    Args:
        num_classes: K, the background counted.
        channels: features per level, finest first; two levels at least.
        num_auxiliary: coarser decoder levels that have a head of their own for deep supervision.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], num_auxiliary: int) -> None:
        super().__init__()
        self.encoder = Encoder(self.num_views, channels)
        self.decoder = Decoder(channels)
        self.head = nn.Conv3d(channels[0], num_classes, kernel_size=1)
        self.auxiliary_heads = auxiliary_heads(channels[1 : 1 + num_auxiliary], num_classes)
        self.num_classes = num_classes
        self.steps = halving_steps(len(channels))
        self.stride = self.steps[-1]
        initialise(self, LEAK)

    def decode(self, x_BCZYX: Tensor) -> list[Tensor]:
        """Decoder maps, coarsest first."""
        maps: list[Tensor] = self.decoder(self.encoder(x_BCZYX))
        return maps
