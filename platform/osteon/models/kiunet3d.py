"""KiU-Net in three dimensions: a U-Net beside a branch that grows instead of shrinking, each correcting the other.

Legend: B batch, C channels, F features, K classes (background counted), Z Y X voxels. A pair of maps is that of the
U-Net branch ("under") and that of the overcomplete branch ("over").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from osteon.core.geometry import Index3
from osteon.models.deep_supervision import halving_steps
from osteon.models.network import Network, initialise

HALF: Index3 = (2, 2, 2)
Pair = tuple[Tensor, Tensor]
Resize = Callable[[Tensor], Tensor]


class KiUNet3d(Network):
    """KiU-Net 3D (Valanarasu et al. 2021, arXiv:2010.01663), one of the networks of Li et al. 2022.

    A level is a 3x3x3 convolution, a change of resolution, batch norm and ReLU. The U-Net branch pools on the way down;
    the overcomplete branch (Kite-Net) enlarges, so that its receptive field stays small and edges stay sharp. After
    every level but the last a cross-residual fusion block adds to each branch what a convolution makes of the other,
    resampled. Skips are added, and so are the two branches before the head.

    Args:
        num_classes: K, the background counted.
        channels: features per level, finest first.
        enlarge: how many times the overcomplete branch grows along z, y, x at every level.
    """

    def __init__(self, num_classes: int, channels: Sequence[int], enlarge: Index3) -> None:
        super().__init__()
        self.enlarge = enlarge
        down = pairwise([self.num_views, *channels])
        up = pairwise([*channels[::-1], max(1, channels[0] // 2)])
        self.descent = nn.ModuleList(_Rung(before, width) for before, width in down)
        self.ascent = nn.ModuleList(
            _Rung(before, width, fused=number < len(channels)) for number, (before, width) in enumerate(up, start=1)
        )
        self.head = nn.Conv3d(max(1, channels[0] // 2), num_classes, kernel_size=1)
        self.num_classes = num_classes
        # One level more than it pools: to a single voxel torch and OpenVINO resample differently.
        self.stride = halving_steps(len(channels) + 2)[-1]
        initialise(self, negative_slope=0.0)

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """The sum of both branches f_BFZYX, what the head reads."""
        maps, skips = (x_BCZYX, x_BCZYX), []
        for rung in self.descent:
            maps = rung(maps, partial(_pool, factor=HALF), partial(_grow, factor=self.enlarge))
            skips.append(maps)
        maps = skips.pop()
        for rung in self.ascent:
            under, over = rung(maps, partial(_grow, factor=HALF), partial(_pool, factor=self.enlarge))
            skip_under, skip_over = skips.pop() if skips else (over, under)
            maps = (under + skip_under, over + skip_over)
        return maps[0]


class _Rung(nn.Module):
    """A level of both branches, and what each then gives the other."""

    def __init__(self, before: int, width: int, *, fused: bool = True) -> None:
        super().__init__()
        self.under = _Level(before, width)
        self.over = _Level(before, width)
        # The cross-residual fusion block: what each branch receives of the other.
        self.to_under = _Level(width, width) if fused else None
        self.to_over = _Level(width, width) if fused else None

    def forward(self, maps: Pair, resize_under: Resize, resize_over: Resize) -> Pair:
        under, over = self.under(maps[0], resize_under), self.over(maps[1], resize_over)
        if self.to_under is None or self.to_over is None:
            return under, over
        return under + _as_large(self.to_under(over), under), over + _as_large(self.to_over(under), over)


class _Level(nn.Module):
    """Convolution, a change of resolution, batch norm, ReLU."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv3d(before, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm3d(width)

    def forward(self, x_BCZYX: Tensor, resize: Resize | None = None) -> Tensor:
        map_BCZYX = self.convolution(x_BCZYX)
        return functional.relu(self.norm(resize(map_BCZYX) if resize else map_BCZYX))


def _pool(x_BCZYX: Tensor, factor: Index3) -> Tensor:
    return functional.max_pool3d(x_BCZYX, factor)


def _grow(x_BCZYX: Tensor, factor: Index3) -> Tensor:
    return functional.interpolate(x_BCZYX, scale_factor=[float(n) for n in factor], mode="trilinear")


def _as_large(x_BCZYX: Tensor, like_BCZYX: Tensor) -> Tensor:
    return functional.interpolate(x_BCZYX, size=like_BCZYX.shape[2:], mode="trilinear")
