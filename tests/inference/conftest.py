"""A tiny network with features and a head, and scans made of noise."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from osteon.core.geometry import Grid, Index3, Vector3
from osteon.data.preprocess import Intensity
from osteon.inference.in_memory import InMemoryVolume


class TinyNet(nn.Module):
    """Two convolutions that see a few voxels, instance norm that sees the window, a 1x1x1 head."""

    def __init__(self, num_features: int, num_classes: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.body = nn.Sequential(
                nn.Conv3d(1, num_features, 3, padding=1),
                nn.InstanceNorm3d(num_features, affine=True),
                nn.LeakyReLU(0.01),
                nn.Conv3d(num_features, num_features, 3, padding=1),
            )
            self.head = nn.Conv3d(num_features, num_classes, 1)

    def features(self, x_BCZYX: Tensor) -> Tensor:
        features: Tensor = self.body(x_BCZYX)
        return features

    def forward(self, x_BCZYX: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(x_BCZYX))
        return logits


@pytest.fixture(scope="session")
def tiny_net() -> Callable[..., TinyNet]:
    """Builds a network: features 4, classes 9 (features are averaged) unless said otherwise."""

    def build(num_features: int = 4, num_classes: int = 9, seed: int = 0) -> TinyNet:
        return TinyNet(num_features, num_classes, seed).eval()

    return build


@pytest.fixture(scope="session")
def intensity() -> Intensity:
    return Intensity(clip_hu=(-1000, 2000), mean=100, std=400)


@pytest.fixture(scope="session")
def noise_scan() -> Callable[..., InMemoryVolume]:
    """Builds a scan of noise between -1000 and 1500 HU."""

    def build(shape: Index3, spacing_mm: Vector3 = (1.0, 1.0, 1.0)) -> InMemoryVolume:
        hu = np.random.default_rng(7).integers(-1000, 1500, shape).astype(np.int16)
        return InMemoryVolume(hu, Grid(shape, spacing_mm))

    return build
