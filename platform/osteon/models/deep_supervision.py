"""Networks whose coarser decoder levels are judged too, each by a head of its own: deep supervision.

Source: Lee et al. 2015, arXiv:1409.5185; in 3D U-Nets as in nnU-Net. Legend: B batch, V views, C channels, F features,
K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import accumulate

from torch import Tensor, nn

from osteon.core.geometry import Index3
from osteon.models.network import Network, Output


class DeeplySupervised(Network):
    """A U-shaped network that can judge several levels of its decoder.

    Attributes:
        auxiliary_heads: of the levels below the finest, finest first; the coarsest levels may have none.
        steps: voxels of the input per voxel of each level, finest first.
    """

    auxiliary_heads: nn.ModuleList
    steps: Sequence[Index3]

    @abstractmethod
    def decode(self, x_BVZYX: Tensor) -> list[Tensor]:
        """The decoder's map of every level, coarsest first."""

    def features(self, x_BVZYX: Tensor) -> Tensor:
        """The decoder's finest feature map f_BFZYX, what the head reads."""
        return self.decode(x_BVZYX)[-1]

    def supervised(self, x_BVZYX: Tensor) -> list[Output]:
        """Logits of every level that has a head, the finest first."""
        maps, heads = self.decode(x_BVZYX)[::-1], [self.head, *self.auxiliary_heads]
        return [Output(head(map_), step=step) for head, map_, step in zip(heads, maps, self.steps, strict=False)]


def auxiliary_heads(widths: Sequence[int], num_classes: int) -> nn.ModuleList:
    """A 1x1x1 head per level of so many channels."""
    return nn.ModuleList(nn.Conv3d(width, num_classes, kernel_size=1) for width in widths)


def halving_steps(num_levels: int) -> tuple[Index3, ...]:
    """Steps of levels each of which halves all axes."""
    sides = [2**level for level in range(num_levels)]
    return tuple((side, side, side) for side in sides)


def cumulative(strides: Sequence[Index3]) -> tuple[Index3, ...]:
    """Voxels of the input per voxel of each level."""
    return tuple(accumulate(strides, lambda a, b: (a[0] * b[0], a[1] * b[1], a[2] * b[2])))
