"""What networks share that see one axial slice at a time: slices become the batch, and a coarse map is scored.

Legend: B batch, N = B*Z slices, C channels, F features, K classes (background counted), Z Y X voxels.
"""

from __future__ import annotations

from abc import abstractmethod

from torch import Tensor, nn
from torch.nn import functional

from osteon.models.network import Network


class Unit2d(nn.Sequential):
    """Convolution, batch norm, ReLU; a map of as many pixels.

    Args:
        in_channels: of the input.
        out_channels: of the result.
        kernel: side of the convolution, odd.
        dilation: distance of the pixels that the convolution sees.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int = 3, dilation: int = 1) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            # The norm subtracts each channel's mean, so a bias of the convolution would have no effect.
            nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class SliceNetwork(Network):
    """A network that scores each axial slice by itself.

    Its feature map may be coarser than the slice. The published networks then score the coarse map and enlarge the
    scores; enlarging is linear and its weights add up to 1, so it can as well come before the 1x1 head: `features`
    enlarges, `forward` scores first, and both give the same logits at the price of the cheaper one.

    Args:
        num_classes: K, the background counted.
        num_features: F.
        step: how many times coarser than the slice the feature map is.
        multiple: what a slice's sides must be multiples of.
    """

    def __init__(self, num_classes: int, num_features: int, *, step: int, multiple: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.head = nn.Conv3d(num_features, num_classes, kernel_size=1)
        self.stride = (1, multiple, multiple)
        self._step = step

    @abstractmethod
    def slice_features(self, x_NCYX: Tensor) -> Tensor:
        """The feature map of single slices, Y and X divided by ``step``."""

    def features(self, x_BCZYX: Tensor) -> Tensor:
        """What the head reads, f_BFZYX, enlarged to the slices' Y, X."""
        return self._enlarged(self._coarse(x_BCZYX))

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        """Logits l_BKZYX."""
        return self._enlarged(self.head(self._coarse(x_BCZYX)))

    def _coarse(self, x_BCZYX: Tensor) -> Tensor:
        batch, channels, depth, height, width = x_BCZYX.shape
        slices_NCYX = x_BCZYX.transpose(1, 2).reshape(batch * depth, channels, height, width)
        f_NFYX = self.slice_features(slices_NCYX)
        return f_NFYX.reshape(batch, depth, *f_NFYX.shape[1:]).transpose(1, 2)

    def _enlarged(self, x_BCZYX: Tensor) -> Tensor:
        if self._step == 1:
            return x_BCZYX
        factor = (1.0, float(self._step), float(self._step))
        return functional.interpolate(x_BCZYX, scale_factor=factor, mode="trilinear", align_corners=False)


def enlarged(x_NCYX: Tensor, factor: int = 2) -> Tensor:
    """A map with ``factor`` times the pixels along each axis, by bilinear interpolation."""
    return functional.interpolate(x_NCYX, scale_factor=float(factor), mode="bilinear", align_corners=False)
