"""The 3D U-Net: an encoder, a decoder with skips, and a 1x1x1 head that can be applied apart from it.

Legend: B batch, C channels in, F features, K classes (background counted), Z Y X voxels.
Knows nothing of bones, patches or losses. The layer numbers come from `osteon.models.build`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from osteon.core.geometry import Index3

LEAK = 0.01  # negative slope of the activations, as in nnU-Net


class UNet3d(nn.Module):
    """A plain 3D U-Net (Cicek et al. 2016, arXiv:1606.06650) with instance norm and leaky ReLU (nnU-Net).

    Each level has two 3x3x3 convolutions; levels are joined by strided convolutions downwards and transposed
    convolutions upwards. The head is a single 1x1x1 convolution, so that ``head(features(x)) == forward(x)`` and
    averaging features over windows is the same as averaging logits.

    Args:
        in_channels: C.
        num_classes: K, the background counted.
        channels: features per level, finest first; two levels at least.
        num_auxiliary: coarser decoder levels that have a head of their own for deep supervision.
    """

    def __init__(self, in_channels: int, num_classes: int, channels: Sequence[int], num_auxiliary: int) -> None:
        super().__init__()
        steps = list(pairwise(channels))
        self.entry = _Block(in_channels, channels[0], stride=1)
        self.down = nn.ModuleList(_Block(fine, coarse, stride=2) for fine, coarse in steps)
        self.up = nn.ModuleList(_Rise(coarse, fine) for fine, coarse in reversed(steps))
        self.head = nn.Conv3d(channels[0], num_classes, kernel_size=1)
        self.auxiliary_heads = nn.ModuleList(
            nn.Conv3d(width, num_classes, kernel_size=1) for width in channels[1 : 1 + num_auxiliary]
        )
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.apply(_initialise)

    @property
    def stride(self) -> Index3:
        """What the input's Z, Y and X must be multiples of (and at least one axis twice as long as)."""
        step = 2 ** len(self.down)
        return (step, step, step)

    @property
    def num_features(self) -> int:
        """F, the channels of `features`."""
        return self.head.in_channels

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """The decoder's finest feature map f_BFZYX, what the head reads."""
        return self._decode(x_BCZYX)[-1]

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        """Logits l_BKZYX."""
        logits: Tensor = self.head(self.features(x_BCZYX))
        return logits

    def forward_deep(self, x_BCZYX: Tensor) -> list[Tensor]:
        """Logits of every supervised level, finest first; level n has Z, Y, X divided by 2^n."""
        maps = self._decode(x_BCZYX)[::-1]
        heads = [self.head, *self.auxiliary_heads]
        return [head(map_) for head, map_ in zip(heads, maps, strict=False)]

    def _decode(self, x_BCZYX: Tensor) -> list[Tensor]:
        """Decoder maps, coarsest first."""
        skips = [self.entry(x_BCZYX)]
        for block in self.down:
            skips.append(block(skips[-1]))
        maps = [skips.pop()]
        for rise in self.up:
            maps.append(rise(maps[-1], skips.pop()))
        return maps


class _Block(nn.Module):
    """Two convolutions, each followed by instance norm and leaky ReLU; the first may halve the resolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.first = _Unit(in_channels, out_channels, stride)
        self.second = _Unit(out_channels, out_channels, stride=1)

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        out: Tensor = self.second(self.first(x_BCZYX))
        return out


class _Rise(nn.Module):
    """Doubles the resolution, joins the skip of that level, then two convolutions."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose3d(coarse, fine, kernel_size=2, stride=2)
        self.block = _Block(2 * fine, fine, stride=1)

    def forward(self, x_BCZYX: Tensor, skip_BCZYX: Tensor) -> Tensor:
        out: Tensor = self.block(torch.cat([self.enlarge(x_BCZYX), skip_BCZYX], dim=1))
        return out


class _Unit(nn.Module):
    """Convolution, instance norm, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        # The norm subtracts each channel's mean, so a bias of the convolution would have no effect and no gradient.
        self.convolution = nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.InstanceNorm3d(out_channels, affine=True)
        self.activation = nn.LeakyReLU(LEAK, inplace=True)

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        out: Tensor = self.activation(self.norm(self.convolution(x_BCZYX)))
        return out


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv3d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=LEAK)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
