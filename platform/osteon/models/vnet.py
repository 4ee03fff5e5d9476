"""V-Net: residual stages of 5x5x5 convolutions, joined by strided ones.

Legend: B batch, C channels, F features, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets.vnet import DownTransition, InputTransition, UpTransition
from torch import Tensor, nn

from osteon.models.deep_supervision import halving_steps
from osteon.models.network import Network, initialise

ACTIVATION = "prelu"
PRELU_SLOPE = 0.25  # where PReLU begins


class VNet(Network):
    """V-Net (Milletari et al. 2016, arXiv:1606.04797, figure 2) with batch norm, of MONAI's stages.

    Every stage adds its input to the output of its convolutions; on the way down 2x2x2 convolutions of stride 2 halve
    the resolution and double the channels, on the way up transposed ones undo that. The head reads twice ``width``.

    Args:
        num_classes: K, the background counted.
        width: features of the finest stage; each coarser one has twice as many.
        depths: 5x5x5 convolutions of each stage below the finest (which has one), finest first; the decoder's alike.
    """

    def __init__(self, num_classes: int, width: int, depths: Sequence[int]) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(len(depths) + 1)]
        self.first = InputTransition(3, self.num_views, width, ACTIVATION)
        self.descent = nn.ModuleList(
            DownTransition(3, before, depth, ACTIVATION) for before, depth in zip(widths[:-1], depths, strict=True)
        )
        self.ascent = nn.ModuleList(
            UpTransition(3, before, 2 * skip, depth, ACTIVATION, dropout_prob=(None, 0.0))
            for before, skip, depth in zip(
                [widths[-1], *widths[:1:-1]], widths[-2::-1], [*depths[-2::-1], 1], strict=True
            )
        )
        self.head = nn.Conv3d(2 * width, num_classes, kernel_size=1)
        self.num_classes = num_classes
        self.stride = halving_steps(len(widths))[-1]
        initialise(self, PRELU_SLOPE)

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """The decoder's finest map f_BFZYX, what the head reads."""
        skips = [self.first(x_BCZYX)]
        for stage in self.descent:
            skips.append(stage(skips[-1]))
        map_BCZYX: Tensor = skips.pop()
        for stage, skip in zip(self.ascent, reversed(skips), strict=True):
            map_BCZYX = stage(map_BCZYX, skip)
        return map_BCZYX
