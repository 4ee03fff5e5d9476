"""SegNet in three dimensions: an encoder whose pooling remembers where, and a decoder that puts values back there.

Legend: B batch, C channels, F features, K classes (background counted), Z Y X voxels, N voxels of a whole map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from monai.networks.blocks.convolutions import Convolution
from torch import Tensor, nn
from torch.nn import functional

from osteon.models.deep_supervision import halving_steps
from osteon.models.network import Network, initialise
from osteon.models.unpool import unpool


class SegNet3d(Network):
    """SegNet (Badrinarayanan et al. 2017, doi 10.1109/TPAMI.2016.2644615) of 3x3x3 convolutions, one of Li et al. 2022.

    No map of the encoder is concatenated: a level hands down only the place of each maximum, and the decoder writes its
    values there, zeros elsewhere. The decoder mirrors the encoder; the original's last convolution, to the classes, is
    a 1x1x1 head after it.

    Args:
        num_classes: K, the background counted.
        channels: features per level, finest first; each level ends in 2x2x2 pooling.
        depths: convolutions per level.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], depths: Sequence[int]) -> None:
        super().__init__()
        above = [self.num_views, *channels[:-1]]
        out = [channels[0], *channels[:-1]]
        levels = range(len(channels))
        self.descent = nn.ModuleList(_stack([above[n], *[channels[n]] * depths[n]]) for n in levels)
        self.ascent = nn.ModuleList(_stack([*[channels[n]] * depths[n], out[n]]) for n in reversed(levels))
        self.head = nn.Conv3d(channels[0], num_classes, kernel_size=1)
        self.num_classes = num_classes
        self.stride = halving_steps(len(channels) + 1)[-1]
        initialise(self, negative_slope=0.0)

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """The decoder's finest map f_BFZYX, what the head reads."""
        map_BCZYX, places = x_BCZYX, []
        for stack in self.descent:
            large = stack(map_BCZYX)
            map_BCZYX, where = functional.max_pool3d(large, 2, return_indices=True)
            places.append((where, large.shape))
        for stack, (where, shape) in zip(self.ascent, reversed(places), strict=True):
            map_BCZYX = stack(unpool(map_BCZYX, where, shape))
        return map_BCZYX


def _stack(widths: Sequence[int]) -> nn.Sequential:
    return nn.Sequential(
        *(Convolution(3, before, width, act="RELU", norm="BATCH", bias=False) for before, width in pairwise(widths))
    )
