"""The slice-wise SegNet (Badrinarayanan et al. 2017, arXiv:1511.00561) with the widths of Krawczyk 2021.

Legend: N slices, C channels, F features, Y X pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

from osteon.models.network import initialise
from osteon.models.slicewise import SliceNetwork, Unit2d
from osteon.models.unpool import unpool


class SegNet2d(SliceNetwork):
    """Enlarges by putting each value where the encoder's max-pooling found it, zeros elsewhere; no map is joined.

    A convolution per level; the coarsest has two, the second of which widens. The decoder mirrors the encoder, so
    that every pooling has an enlargement with as many channels.

    Args:
        num_classes: K, the background counted.
        channels: per level, finest first.
        bottleneck: channels of the widening convolution.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], bottleneck: int) -> None:
        super().__init__(num_classes, channels[0], step=1, multiple=2 ** len(channels))
        down = [1, *channels]
        pooled = [*channels[:-1], bottleneck]
        narrower = [channels[0], *channels[:-1]]
        self.encoder = nn.ModuleList(Unit2d(down[level], width) for level, width in enumerate(channels))
        self.widen = Unit2d(channels[-1], bottleneck)
        self.decoder = nn.ModuleList(Unit2d(pooled[n], narrower[n]) for n in reversed(range(len(channels))))
        initialise(self, 0.0)

    def slice_features(self, x_NCYX: Tensor) -> Tensor:
        """The decoder's finest map, of the slice's resolution."""
        places = []
        for level, unit in enumerate(self.encoder):
            large = unit(x_NCYX)
            if level == len(self.encoder) - 1:
                large = self.widen(large)
            x_NCYX, where = functional.max_pool2d(large, 2, return_indices=True)
            places.append((where, large.shape))
        for unit, (where, shape) in zip(self.decoder, reversed(places), strict=True):
            x_NCYX = unit(unpool(x_NCYX, where, shape))
        return x_NCYX
