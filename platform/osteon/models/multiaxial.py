"""Three 2D U-Nets, for axial, coronal and sagittal slices, that vote (Saillard et al. 2023, section 2.3).

Legend: B batch, N slices, C channels, F features, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from osteon.models.network import Network, Output, initialise
from osteon.models.slicewise import Unit2d

AXES = (2, 3, 4)  # of x_BCZYX across which slices are axial, coronal, sagittal


class MultiAxialUNet(Network):
    """A U-Net per axis, each of which sees the slices across its axis and nothing else.

    On whole scans the label of a voxel is the class that most of the three name. If all three differ, it is the one
    of the three classes named whose logits have the largest sum; if those are equal too, the smaller class number.
    The vote needs each network's averaged logits, `scores`. `forward`, their mean, is what tools that know one set of
    logits see, and what decides a tie.

    Args:
        num_classes: K, the background counted.
        channels: features per level of each U-Net, finest first.
    """

    num_voters = len(AXES)

    def __init__(self, num_classes: int, channels: Sequence[int]) -> None:
        super().__init__()
        self.planes = nn.ModuleList(PlaneUNet(channels) for _ in AXES)
        width = self.num_voters * channels[0]
        self.head = nn.Conv3d(width, self.num_voters * num_classes, kernel_size=1, groups=self.num_voters)
        self.num_classes = num_classes
        step = 2 ** (len(channels) - 1)
        self.stride = (step, step, step)
        initialise(self, 0.0)

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """The three finest maps one after the other, (B, 3F, Z, Y, X)."""
        return torch.cat([_across(axis, plane, x_BCZYX) for axis, plane in zip(AXES, self.planes, strict=True)], dim=1)

    def scores(self, x_BCZYX: Tensor) -> Tensor:
        """The three networks' logits one after the other, (B, 3K, Z, Y, X)."""
        scores: Tensor = self.head(self.features(x_BCZYX))
        return scores

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        """The mean of the three networks' logits, l_BKZYX."""
        return torch.stack(self.scores(x_BCZYX).chunk(self.num_voters, dim=1)).mean(0)

    def supervised(self, x_BCZYX: Tensor) -> list[Output]:
        """Each network's own logits: the three are trained side by side and do not see each other."""
        return [Output(logits_BKZYX) for logits_BKZYX in self.scores(x_BCZYX).chunk(self.num_voters, dim=1)]


class PlaneUNet(nn.Module):
    """A 2D U-Net (Ronneberger et al. 2015, arXiv:1505.04597): two convolutions per level, max-pooling, up-convolution.

    Args:
        channels: features per level, finest first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        widths = [1, *channels]
        levels = range(len(channels) - 2, -1, -1)
        self.down = nn.ModuleList(_pair(widths[level], width) for level, width in enumerate(channels))
        self.pool = nn.MaxPool2d(2)
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(channels[n + 1], channels[n], 2, stride=2) for n in levels)
        self.up = nn.ModuleList(_pair(2 * channels[n], channels[n]) for n in levels)

    def forward(self, x_NCYX: Tensor) -> Tensor:
        """The finest map f_NFYX."""
        maps: list[Tensor] = []
        for pair in self.down:
            maps.append(pair(self.pool(maps[-1]) if maps else x_NCYX))
        map_ = maps.pop()
        for enlarge, pair, skip in zip(self.enlarge, self.up, reversed(maps), strict=True):
            map_ = pair(torch.cat([enlarge(map_), skip], dim=1))
        return map_


def _pair(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(Unit2d(in_channels, out_channels), Unit2d(out_channels, out_channels))


def _across(axis: int, plane: nn.Module, x_BCZYX: Tensor) -> Tensor:
    """The features of a network of slices across an axis, as a block f_BFZYX again."""
    slices_BNCYX = x_BCZYX.movedim(axis, 1)
    map_NFYX: Tensor = plane(slices_BNCYX.flatten(0, 1))
    return map_NFYX.reshape(*slices_BNCYX.shape[:2], *map_NFYX.shape[1:]).movedim(1, axis)
