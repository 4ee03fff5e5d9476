"""One step of training and the state it changes."""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from osteon.data.loader import Batch
from osteon.models.build import build
from osteon.models.slice_specs import FCNSpec
from osteon.models.volume_specs import ClassicUNet3dSpec
from osteon.training.losses import LossSpec
from osteon.training.optim import OptimSpec
from osteon.training.team import Team
from osteon.training.trainer import Trainer

NewTrainer = Callable[..., Trainer]
Batches = Callable[[int, int], Iterator[Batch]]


def losses(trainer: Trainer, batches: Batches, stop: int) -> list[float]:
    found = []
    for batch in batches(trainer.step, stop):
        found.append(float(trainer.train_step(batch.input_BVZYX, batch.labels, progress=0.3).loss))
    return found


def through_bytes(state: dict[str, Any]) -> dict[str, Any]:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    buffer.seek(0)
    loaded: dict[str, Any] = torch.load(buffer, weights_only=True)
    return loaded


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_loss_falls(new_trainer: NewTrainer, batches: Batches, optimizer: str) -> None:
    curve = losses(new_trainer(optimizer=optimizer, learning_rate=1e-2), batches, 30)
    assert curve[-1] < 0.6 * curve[0]


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("optim", [{}, {"optimizer": "sgd"}, {"ema_decay": 0.9}])
def test_restored_state_goes_on_as_if_never_interrupted(
    new_trainer: NewTrainer, batches: Batches, precision: str, optim: dict[str, Any]
) -> None:
    unbroken = new_trainer(precision, **optim)
    expected = losses(unbroken, batches, 8)
    first = new_trainer(precision, **optim)
    start = losses(first, batches, 4)
    second = new_trainer(precision, **optim)
    second.load_state_dict(through_bytes(first.state_dict()))
    assert second.step == 4
    assert start + losses(second, batches, 8) == expected
    for kept, resumed in zip(unbroken.judged.parameters(), second.judged.parameters(), strict=True):
        assert torch.equal(kept, resumed)


def dropping_trainer(**optim: Any) -> Trainer:
    """A trainer of a network with dropout and batch norm."""
    torch.manual_seed(3)
    network = FCNSpec(channels=(4, 6, 8), hidden=16).build(3)
    spec = OptimSpec.model_validate({"learning_rate": 1e-2, **optim})
    return Trainer(network, LossSpec(), spec, device=torch.device("cpu"), precision="float32", team=Team())


def test_a_resumed_run_drops_the_features_that_the_unbroken_one_did(batches: Batches) -> None:
    expected = losses(dropping_trainer(), batches, 6)
    first = dropping_trainer()
    start = losses(first, batches, 3)
    torch.rand(7)  # whatever else happens to torch's own chance
    second = dropping_trainer()
    second.load_state_dict(through_bytes(first.state_dict()))
    assert start + losses(second, batches, 6) == expected


def test_averaged_network_has_the_statistics_of_the_batches(batches: Batches) -> None:
    trainer = dropping_trainer(ema_decay=0.99)
    losses(trainer, batches, 3)
    kept, now = dict(trainer.judged.named_buffers()), dict(trainer.network.named_buffers())
    assert kept.keys() == now.keys()
    assert all(torch.equal(kept[name], now[name]) for name in now)
    assert any(name.endswith("running_mean") and value.any() for name, value in kept.items())


def test_bfloat16_computes_roughly_the_same_loss(new_trainer: NewTrainer, batches: Batches) -> None:
    assert losses(new_trainer("bf16"), batches, 1) == pytest.approx(losses(new_trainer(), batches, 1), rel=0.02)


def test_gradients_are_clipped_to_the_norm_and_the_norm_before_is_told(
    new_trainer: NewTrainer, batches: Batches
) -> None:
    trainer = new_trainer(gradient_clip=1e-3, optimizer="sgd", weight_decay=0, learning_rate=1.0, schedule="constant")
    before = [value.detach().clone() for value in trainer.network.parameters()]
    batch = next(batches(0, 1))
    step = trainer.train_step(batch.input_BVZYX, batch.labels, progress=0.5)
    assert float(step.gradient_norm) > 1e-2
    moved = torch.cat([(a - b).flatten() for a, b in zip(before, trainer.network.parameters(), strict=True)])
    assert float(moved.detach().norm()) == pytest.approx(1.99e-3, rel=1e-3)  # (1 + Nesterov's 0.99) * clip


def test_averaged_weights_follow_slowly_and_are_the_ones_judged(new_trainer: NewTrainer, batches: Batches) -> None:
    trainer = new_trainer(ema_decay=0.5)
    first = trainer.network.head.weight.detach().clone()
    losses(trainer, batches, 1)
    now = trainer.network.head.weight.detach()
    assert trainer.judged is trainer.average
    decay = 1 / 10  # of the very first step, whatever the recipe says
    torch.testing.assert_close(trainer.judged.head.weight, decay * first + (1 - decay) * now)


def test_the_network_itself_is_judged_without_averaging(new_trainer: NewTrainer) -> None:
    trainer = new_trainer()
    assert trainer.judged is trainer.network


def test_averaged_weights_have_the_statistics_of_batch_norms(batches: Batches) -> None:
    network = build(ClassicUNet3dSpec(channels=(2, 4), num_auxiliary=0), num_classes=3)
    optim = OptimSpec(ema_decay=0.9)
    trainer = Trainer(network, LossSpec(), optim, device=torch.device("cpu"), precision="float32", team=Team())
    losses(trainer, batches, 2)
    kept, fresh = dict(trainer.judged.named_buffers()), dict(network.named_buffers())
    assert any(name.endswith("running_mean") for name in kept)
    assert all(torch.equal(kept[name], fresh[name]) for name in kept)
