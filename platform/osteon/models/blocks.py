"""The parts of U-shaped networks: convolution units, an encoder, and a decoder that also takes maps from elsewhere.

Legend: B batch, C channels, Z Y X voxels. Levels are numbered from the finest, 0, to the bottleneck.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

LEAK = 0.01  # negative slope of the activations, as in nnU-Net


class Unit(nn.Module):
    """Convolution, instance norm, leaky ReLU."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        # The norm subtracts each channel's mean, so a bias of the convolution would have no effect and no gradient.
        self.convolution = nn.Conv3d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
        self.norm = nn.InstanceNorm3d(out_channels, affine=True)
        self.activation = nn.LeakyReLU(LEAK, inplace=True)

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        """A map of as many voxels, or an eighth of them with stride 2."""
        out: Tensor = self.activation(self.norm(self.convolution(x_BCZYX)))
        return out


class Block(nn.Module):
    """Two units; the first may halve the resolution."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.first = Unit(in_channels, out_channels, stride)
        self.second = Unit(out_channels, out_channels)

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        """A map of as many voxels, or an eighth of them with stride 2."""
        out: Tensor = self.second(self.first(x_BCZYX))
        return out


class Encoder(nn.Module):
    """A block per level; every level below the first halves the resolution by a strided convolution.

    Args:
        in_channels: of the input.
        channels: per level, finest first.
    """

    def __init__(self, in_channels: int, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [in_channels, *channels]
        self.blocks = nn.ModuleList(
            Block(widths[level], width, stride=2 if level else 1) for level, width in enumerate(channels)
        )

    def forward(self, x_BCZYX: Tensor) -> list[Tensor]:
        """The map of every level, finest first."""
        maps: list[Tensor] = []
        for block in self.blocks:
            maps.append(block(maps[-1] if maps else x_BCZYX))
        return maps


class Decoder(nn.Module):
    """Climbs from the bottleneck: a transposed convolution, the encoder's map of that level, then a block.

    Args:
        channels: of the encoder, finest first.
        extra: channels that join each level from elsewhere, finest first; those of the bottleneck join its map.
    """

    def __init__(self, channels: Sequence[int], extra: Sequence[int] = ()) -> None:
        super().__init__()
        joined = [*extra] or [0] * len(channels)
        widths = [*channels[:-1], channels[-1] + joined[-1]]
        levels = range(len(channels) - 2, -1, -1)
        self.enlarge = nn.ModuleList(nn.ConvTranspose3d(widths[n + 1], channels[n], 2, stride=2) for n in levels)
        self.blocks = nn.ModuleList(Block(2 * channels[n] + joined[n], channels[n]) for n in levels)

    def forward(self, skips: Sequence[Tensor], extra: Sequence[Sequence[Tensor]] = ()) -> list[Tensor]:
        """The map of every level, coarsest first, the bottleneck's included.

        Args:
            skips: the encoder's maps, finest first.
            extra: maps from elsewhere by level, of that level's Z, Y, X.
        """
        joined = [*extra] or [()] * len(skips)
        maps = [_join(skips[-1], *joined[-1])]
        for enlarge, block, skip, others in zip(self.enlarge, self.blocks, skips[-2::-1], joined[-2::-1], strict=True):
            maps.append(block(_join(enlarge(maps[-1]), skip, *others)))
        return maps


def _join(*maps: Tensor) -> Tensor:
    return torch.cat(maps, dim=1) if len(maps) > 1 else maps[0]
