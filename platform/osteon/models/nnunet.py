"""nnU-Net's plain-convolution U-Net, whose kernels and strides may differ by level and axis.

Legend: B batch, C channels, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.blocks.dynunet_block import UnetBasicBlock, UnetUpBlock
from torch import Tensor, nn

from osteon.core.geometry import Index3
from osteon.models.blocks import LEAK
from osteon.models.deep_supervision import DeeplySupervised, auxiliary_heads, cumulative
from osteon.models.network import initialise

NORM = ("INSTANCE", {"affine": True})


class NnUNet(DeeplySupervised):
    """The U-Net that nnU-Net plans (Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, supplementary note 2).

    Made of the blocks of MONAI's DynUNet. A level's decoder has the kernels of its encoder, as in nnU-Net; DynUNet
    gives it those of the level below. Convolutions have no bias: the norm after them would take it away.

    Args:
        num_classes: K, the background counted.
        channels: features per level, finest first.
        strides: of the first convolution of each level along z, y, x; that of the finest is 1.
        kernels: of the convolutions of each level.
        num_auxiliary: coarser decoder levels that have a head of their own for deep supervision.
    """

    def __init__(
        self,
        num_classes: int,
        channels: Sequence[int],
        strides: Sequence[Index3],
        kernels: Sequence[Index3],
        num_auxiliary: int,
    ) -> None:
        super().__init__()
        above = [self.num_views, *channels[:-1]]
        self.descent = nn.ModuleList(
            UnetBasicBlock(3, before, width, kernel, stride, NORM)
            for before, width, kernel, stride in zip(above, channels, kernels, strides, strict=True)
        )
        self.ascent = nn.ModuleList(
            UnetUpBlock(3, channels[n + 1], channels[n], kernels[n], 1, strides[n + 1], NORM, trans_bias=True)
            for n in range(len(channels) - 2, -1, -1)
        )
        self.head = nn.Conv3d(channels[0], num_classes, kernel_size=1)
        self.auxiliary_heads = auxiliary_heads(channels[1 : 1 + num_auxiliary], num_classes)
        self.num_classes = num_classes
        self.steps = cumulative(strides)
        self.stride = self.steps[-1]
        initialise(self, LEAK)

    def decode(self, x_BCZYX: Tensor) -> list[Tensor]:
        """Decoder maps, coarsest first."""
        skips = [self.descent[0](x_BCZYX)]
        for block in self.descent[1:]:
            skips.append(block(skips[-1]))
        maps = [skips.pop()]
        for block, skip in zip(self.ascent, reversed(skips), strict=True):
            maps.append(block(maps[-1], skip))
        return maps
