"""ResNet-50 as an encoder of slices (He et al. 2016, arXiv:1512.03385), down to a sixteenth of the resolution.

Parameters have torchvision's names (``layer1.0.conv1.weight`` …), so that its ImageNet weights fit; like there, a
block that halves the resolution does so in its 3x3 convolution. Legend: N slices, C channels, Y X pixels.
"""

from __future__ import annotations

from torch import Tensor, nn

EXPANSION = 4  # of a bottleneck block's channels, on its way out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolutions beside a shortcut.

    Args:
        in_channels: of the input.
        width: of the 3x3 convolution; four times as many channels come out.
        stride: of the 3x3 convolution.
    """

    def __init__(self, in_channels: int, width: int, stride: int) -> None:
        super().__init__()
        out_channels = EXPANSION * width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out_channels:
            shortcut = nn.Conv2d(in_channels, out_channels, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))

    def forward(self, x_NCYX: Tensor) -> Tensor:
        """A map of four times ``width`` channels, Y and X divided by the stride."""
        y = self.relu(self.bn1(self.conv1(x_NCYX)))
        y = self.relu(self.bn2(self.conv2(y)))
        out: Tensor = self.relu(self.bn3(self.conv3(y)) + self.downsample(x_NCYX))
        return out


class ResNet50(nn.Module):
    """The stem and the first three of the four stages."""

    widths = (64, 256, 512, 1024)
    first = "conv1.weight"

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = _stage(64, 64, num_blocks=3, stride=1)
        self.layer2 = _stage(256, 128, num_blocks=4, stride=2)
        self.layer3 = _stage(512, 256, num_blocks=6, stride=2)

    def forward(self, x_NCYX: Tensor) -> list[Tensor]:
        """The maps of the stem and of every stage, finest first: Y and X divided by 2, 4, 8, 16."""
        stem = self.relu(self.bn1(self.conv1(x_NCYX)))
        first = self.layer1(self.maxpool(stem))
        second = self.layer2(first)
        return [stem, first, second, self.layer3(second)]


def _stage(in_channels: int, width: int, *, num_blocks: int, stride: int) -> nn.Sequential:
    rest = [Bottleneck(EXPANSION * width, width, 1) for _ in range(num_blocks - 1)]
    return nn.Sequential(Bottleneck(in_channels, width, stride), *rest)
