"""A tiny network on random patches: what trainers, loops and checkpoints are tested with."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from osteon.data.loader import Batch
from osteon.models.unet3d import UNet3d
from osteon.training.losses import LossSpec
from osteon.training.optim import OptimSpec
from osteon.training.team import Team
from osteon.training.trainer import Trainer

NewTrainer = Callable[..., Trainer]


@pytest.fixture
def new_trainer() -> NewTrainer:
    """Makes trainers that are equal at step 0; keyword arguments are those of `OptimSpec`, and ``precision``."""

    def make(precision: Any = "float32", **optim: Any) -> Trainer:
        torch.manual_seed(3)
        network = UNet3d(num_classes=3, channels=(4, 6, 8), num_auxiliary=1)
        return Trainer(
            network,
            LossSpec(),
            OptimSpec.model_validate({"learning_rate": 1e-2, **optim}),
            device=torch.device("cpu"),
            precision=precision,
            team=Team(),
        )

    return make


def batch_of(step: int) -> Batch:
    """Patches of a step: two bright boxes to be told apart, in noise."""
    generator = torch.Generator().manual_seed(step)
    labels = torch.zeros(2, 8, 8, 8, dtype=torch.uint8)
    labels[:, 1:4, 2:6, 2:6] = 1
    labels[:, 5:8, 1:5, 3:7] = 2
    image = labels[:, None].float() + 0.1 * torch.randn(2, 1, 8, 8, 8, generator=generator)
    return Batch(image, labels, ())


@pytest.fixture
def batches() -> Callable[[int, int], Iterator[Batch]]:
    """A loader: the batches of steps [start, stop)."""

    def read(start: int, stop: int) -> Iterator[Batch]:
        return (batch_of(step) for step in range(start, stop))

    return read
