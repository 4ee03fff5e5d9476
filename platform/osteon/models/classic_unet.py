"""The 3D U-Net as it was first described, and its residual form: batch norm, ReLU, max pooling.

Legend: B batch, C channels, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.blocks.convolutions import Convolution
from monai.networks.blocks.dynunet_block import UnetResBlock
from torch import Tensor, cat, nn

from osteon.models.deep_supervision import DeeplySupervised, auxiliary_heads, halving_steps
from osteon.models.network import initialise


class ClassicUNet3d(DeeplySupervised):
    """The 3D U-Net of Cicek et al. 2016 (arXiv:1606.06650, figure 2) that Li et al. 2022 use (section 2.3.1).

    Each level has two 3x3x3 convolutions with batch norm and ReLU. Levels are joined by 2x2x2 max pooling downwards and
    by 2x2x2 up-convolutions that keep the number of channels upwards; the encoder's map is concatenated. On the way
    down the first convolution of a level has half its channels ("doubling the number of channels already before max
    pooling"). The residual form is Li's Res U-Net, after Xiao et al. 2018 (doi 10.1109/ITME.2018.00080): every pair of
    convolutions is a residual block with a 1x1x1 convolution beside it.

    Args:
        num_classes: K, the background counted.
        channels: features per level, finest first; two levels at least.
        num_auxiliary: coarser decoder levels that have a head of their own for deep supervision.
        residual: build levels of residual blocks.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], num_auxiliary: int, *, residual: bool) -> None:
        super().__init__()
        block = _residual if residual else _plain
        above = [self.num_views, *channels[:-1]]
        self.descent = nn.ModuleList(
            block(before, width // 2, width) for before, width in zip(above, channels, strict=True)
        )
        self.pool = nn.MaxPool3d(2)
        self.enlarge = nn.ModuleList(nn.ConvTranspose3d(width, width, 2, stride=2) for width in channels[:0:-1])
        self.ascent = nn.ModuleList(
            block(below + width, width, width) for below, width in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )
        self.head = nn.Conv3d(channels[0], num_classes, kernel_size=1)
        self.auxiliary_heads = auxiliary_heads(channels[1 : 1 + num_auxiliary], num_classes)
        self.num_classes = num_classes
        self.steps = halving_steps(len(channels))
        self.stride = self.steps[-1]
        initialise(self, negative_slope=0.0)

    def decode(self, x_BCZYX: Tensor) -> list[Tensor]:
        """Decoder maps, coarsest first."""
        skips = [self.descent[0](x_BCZYX)]
        for block in self.descent[1:]:
            skips.append(block(self.pool(skips[-1])))
        maps = [skips.pop()]
        for enlarge, block, skip in zip(self.enlarge, self.ascent, reversed(skips), strict=True):
            maps.append(block(cat([enlarge(maps[-1]), skip], dim=1)))
        return maps


def _plain(before: int, first: int, width: int) -> nn.Module:
    return nn.Sequential(
        Convolution(3, before, first, act="RELU", norm="BATCH", bias=False),
        Convolution(3, first, width, act="RELU", norm="BATCH", bias=False),
    )


def _residual(before: int, _first: int, width: int) -> nn.Module:
    block: nn.Module = UnetResBlock(3, before, width, kernel_size=3, stride=1, norm_name="batch", act_name="relu")
    return block
