"""The 3D U-Net: an encoder, a decoder with skips, and a 1x1x1 head that can be applied apart from it.

Legend: B batch, C channels, F features, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from osteon.models.blocks import LEAK, Decoder, Encoder
from osteon.models.network import Network, Output, initialise


class UNet3d(Network):
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
        self.auxiliary_heads = nn.ModuleList(
            nn.Conv3d(width, num_classes, kernel_size=1) for width in channels[1 : 1 + num_auxiliary]
        )
        self.num_classes = num_classes
        step = 2 ** (len(channels) - 1)
        self.stride = (step, step, step)
        initialise(self, LEAK)

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """The decoder's finest feature map f_BFZYX, what the head reads."""
        return self._decode(x_BCZYX)[-1]

    def supervised(self, x_BCZYX: Tensor) -> list[Output]:
        """Logits of every supervised level; level n has Z, Y, X divided by 2^n."""
        maps = self._decode(x_BCZYX)[::-1]
        heads = [self.head, *self.auxiliary_heads]
        steps = [2**level for level in range(len(heads))]
        return [
            Output(head(map_), step=(step, step, step)) for head, map_, step in zip(heads, maps, steps, strict=False)
        ]

    def _decode(self, x_BCZYX: Tensor) -> list[Tensor]:
        """Decoder maps, coarsest first."""
        maps: list[Tensor] = self.decoder(self.encoder(x_BCZYX))
        return maps
