"""What every network is to the rooms that train and apply it, and what the numbers of any network have in common.

Legend: B batch, V views, F features, K classes (background counted), Z Y X voxels.
The input x_BVZYX holds one channel per view: the target, then its contexts, each covering twice the field of view of
the one before with as many voxels, all centred on one point. Most networks see the target alone (V = 1).
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from osteon.core.geometry import Index3

Fusion = Literal["vote", "probability"]


@dataclass(frozen=True)
class Output:
    """Class scores that training compares with labels.

    Attributes:
        logits_BKZYX: the scores.
        view: whose labels: 0 the target, k the k-th context.
        step: they are compared with every step-th label along z, y, x.
    """

    logits_BKZYX: Tensor  # noqa: N815  # a shape suffix
    view: int = 0
    step: Index3 = (1, 1, 1)


class Network(nn.Module):
    """A network that gives one score per voxel of the target and class.

    The head is a single 1x1x1 convolution, so ``head(features(x)) == forward(x)`` and averaging features over windows
    is the same as averaging logits.

    Attributes:
        num_views: V, channels of the input.
        num_classes: K.
        num_voters: networks in one that elect a voxel's class. Where there are several,
            ``head(features(x)) == scores(x)``, and forward gives the mean of their logits.
        fusion: how they elect it: each has one vote, or the mean of their probabilities is the largest.
        stride: what the input's Z, Y and X must be multiples of.
        head: from features to logits.
    """

    num_views: int = 1
    num_classes: int
    num_voters: int = 1
    fusion: Fusion = "vote"
    stride: Index3
    head: nn.Conv3d

    @property
    def num_features(self) -> int:
        """F, the channels of `features`."""
        return self.head.in_channels

    @abstractmethod
    def features(self, x_BVZYX: Tensor) -> Tensor:
        """What the head reads, f_BFZYX, of the target's Z, Y, X."""

    def forward(self, x_BVZYX: Tensor) -> Tensor:
        """Logits l_BKZYX of the target."""
        logits: Tensor = self.head(self.features(x_BVZYX))
        return logits

    def scores(self, x_BVZYX: Tensor) -> Tensor:
        """Every voter's own logits one after the other, (B, num_voters * K, Z, Y, X)."""
        return self.forward(x_BVZYX)

    def supervised(self, x_BVZYX: Tensor) -> list[Output]:
        """All scores that training judges, the target's finest first."""
        return [Output(self.forward(x_BVZYX))]


class NetworkSpec(BaseModel):
    """The numbers of a network; each kind of network has its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: str

    @property
    def num_contexts(self) -> int:
        """Wider views that the network sees besides the target."""
        return 0

    @property
    def supervises_contexts(self) -> bool:
        """Whether training compares scores with the contexts' labels too."""
        return False

    @property
    @abstractmethod
    def stride(self) -> Index3:
        """What every axis of an input must be a multiple of."""

    def check_shape(self, shape: Index3) -> None:
        """Refuse an input of so many voxels z, y, x that the network cannot take.

        Raises:
            ValueError: what it must be.
        """
        if any(side % step for side, step in zip(shape, self.stride, strict=True)):
            raise ValueError(f"must be multiples of {list(self.stride)}, the stride of the model")

    @abstractmethod
    def build(self, num_classes: int) -> Network:
        """The network with fresh weights; ``num_classes`` counts the background."""


def num_parameters(network: nn.Module) -> int:
    """How many trainable numbers the network has."""
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)


def initialise(network: nn.Module, negative_slope: float) -> None:
    """He's normal weights (He et al. 2015, arXiv:1502.01852) for all convolutions, biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
            nn.init.kaiming_normal_(module.weight, a=negative_slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
