"""The Hybrid loss against its equation."""

import math

import pytest
import torch

from osteon.models.network import Output
from osteon.training.hybrid import Hybrid
from osteon.training.losses import LossSpec, SupervisedLoss


def logits_of(probabilities: list[float]) -> torch.Tensor:
    """Two-class logits (1, 2, 1, 1, N) whose softmax gives class 1 these probabilities."""
    p = torch.tensor(probabilities)
    return torch.stack([(1 - p).log(), p.log()])[None, :, None, None, :]


def test_value_is_that_of_the_equation() -> None:
    s, g, epsilon = [0.9, 0.2, 0.6, 0.5], [1, 0, 0, 1], 0.5
    entropy = -sum(y * math.log(p) + (1 - y) * math.log(1 - p) for p, y in zip(s, g, strict=True)) / 4
    overlap = 2 * (0.9 + 0.5) + epsilon
    size = (0.81 + 0.04 + 0.36 + 0.25) + 2 + epsilon
    found = Hybrid(epsilon)(logits_of(s), torch.tensor(g)[None, None, None, :])
    assert float(found) == pytest.approx(entropy + 1 - overlap / size, rel=1e-5)


def test_classes_are_averaged_and_the_background_left_out() -> None:
    logits = torch.randn(2, 3, 2, 2, 2)
    labels = torch.randint(0, 3, (2, 2, 2, 2))
    s = logits.softmax(1)
    parts = []
    for k in (1, 2):
        g, p = (labels == k).float(), s[:, k]
        entropy = -(g * p.log() + (1 - g) * (1 - p).log()).mean()
        parts.append(entropy + 1 - (2 * (g * p).sum() + 1e-5) / (p.square().sum() + g.sum() + 1e-5))
    torch.testing.assert_close(Hybrid(1e-5)(logits, labels), torch.stack(parts).mean())


def test_sure_scores_stay_finite_and_pull() -> None:
    logits = torch.tensor([-200.0, 200.0]).reshape(1, 2, 1, 1, 1).requires_grad_()
    loss = Hybrid(1e-5)(logits, torch.zeros(1, 1, 1, 1, dtype=torch.uint8))
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, logits)[0]).all()


def test_recipe_chooses_it() -> None:
    logits, labels = torch.randn(1, 2, 4, 4, 4), torch.randint(0, 2, (1, 4, 4, 4))
    chosen = SupervisedLoss(LossSpec(kind="hybrid", smoothing=0.1))([Output(logits)], [labels])
    torch.testing.assert_close(chosen, Hybrid(0.1)(logits, labels))
