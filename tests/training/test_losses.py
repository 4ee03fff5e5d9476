"""Dice and cross-entropy against numbers worked out by hand, and against MONAI's."""

import math
from typing import Any

import pytest
import torch
from monai.losses.dice import DiceCELoss
from pydantic import ValidationError
from torch import Tensor

from osteon.models.network import Output
from osteon.training.losses import DiceCrossEntropy, LossSpec, SupervisedLoss

EVEN = torch.zeros(1, 2, 1, 1, 4)  # both classes get probability 1/2 everywhere
LABELS = torch.tensor([[[[0, 0, 0, 1]]]], dtype=torch.uint8)


def test_cross_entropy_of_an_even_guess_is_the_logarithm_of_two() -> None:
    loss = DiceCrossEntropy(LossSpec(dice=0, balance=0))(EVEN, LABELS)
    assert float(loss) == pytest.approx(math.log(2))


def test_dice_of_an_even_guess_by_hand() -> None:
    # Foreground: overlap 1/2, sizes 4 * 1/2 and 1: Dice 2 * (1/2) / 3. Background: overlap 3/2, sizes 2 and 3.
    foreground, background = 1 / 3, 3 / 5
    only = DiceCrossEntropy(LossSpec(cross_entropy=0))(EVEN, LABELS)
    both = DiceCrossEntropy(LossSpec(cross_entropy=0, include_background=True))(EVEN, LABELS)
    assert float(only) == pytest.approx(1 - foreground, abs=1e-4)
    assert float(both) == pytest.approx(1 - (foreground + background) / 2, abs=1e-4)


def test_batch_dice_joins_the_images() -> None:
    logits = torch.tensor([[20.0, -20.0], [-20.0, 20.0]]).reshape(2, 2, 1, 1, 1)  # image 0: background, 1: bone
    labels = torch.ones(2, 1, 1, 1, dtype=torch.int16)
    joined = DiceCrossEntropy(LossSpec(cross_entropy=0))(logits, labels)
    apart = DiceCrossEntropy(LossSpec(cross_entropy=0, batch_dice=False))(logits, labels)
    assert float(joined) == pytest.approx(1 - 2 / 3, abs=1e-4)
    assert float(apart) == pytest.approx((1 + 0) / 2, abs=1e-4)


def test_weights_scale_the_parts() -> None:
    dice = DiceCrossEntropy(LossSpec(cross_entropy=0))(EVEN, LABELS)
    entropy = DiceCrossEntropy(LossSpec(dice=0, balance=0))(EVEN, LABELS)
    both = DiceCrossEntropy(LossSpec(dice=2, cross_entropy=0.5, balance=0))(EVEN, LABELS)
    torch.testing.assert_close(both, 2 * dice + 0.5 * entropy)


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("include_background", [True, False])
def test_values_and_gradients_are_monais(batch_dice: bool, include_background: bool) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 4, 3, 5, 6, generator=generator, requires_grad=True)
    labels = torch.randint(0, 3, (2, 3, 5, 6), generator=generator)  # class 3 occurs nowhere
    reference = DiceCELoss(softmax=True, to_onehot_y=True, batch=batch_dice, include_background=include_background)
    spec = LossSpec(batch_dice=batch_dice, include_background=include_background, present_only=False, balance=0)
    ours = DiceCrossEntropy(spec)
    expected, found = reference(logits, labels[:, None]), ours(logits, labels)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found, logits), torch.autograd.grad(expected, logits))


@pytest.mark.parametrize("batch_dice", [True, False])
def test_absent_classes_do_not_dilute_the_present_ones(batch_dice: bool) -> None:
    """Two more classes that neither labels nor network know leave the Dice loss as it is."""
    logits = torch.randn(2, 3, 4, 4, 4, generator=torch.Generator().manual_seed(2))
    labels = torch.ones(2, 4, 4, 4, dtype=torch.int16)  # class 2 is absent too
    wider = torch.cat([logits, torch.full((2, 2, 4, 4, 4), -50.0)], dim=1)
    loss = DiceCrossEntropy(LossSpec(cross_entropy=0, batch_dice=batch_dice))
    torch.testing.assert_close(loss(wider, labels), loss(logits, labels))
    assert float(loss(torch.full_like(logits, -50.0).index_fill(1, torch.tensor([1]), 50.0), labels)) < 1e-4


def test_patches_without_any_bone_have_no_dice_loss() -> None:
    loss = DiceCrossEntropy(LossSpec(cross_entropy=0))(EVEN, torch.zeros_like(LABELS))
    assert float(loss) == 0


@pytest.mark.parametrize(
    ("balance", "weights"),
    [(0.0, (3, 1)), (0.5, (math.sqrt(3), 1)), (1.0, (1, 1))],  # of three background voxels and one of bone
)
def test_balance_weighs_classes_by_a_power_of_their_voxels(balance: float, weights: tuple[float, float]) -> None:
    logits = torch.tensor([1.0, -1.0])[None, :, None, None, None].expand(1, 2, 1, 1, 4)
    background, bone = math.log(1 + math.exp(-2)), math.log(1 + math.exp(2))
    expected = (weights[0] * background + weights[1] * bone) / sum(weights)
    assert float(DiceCrossEntropy(LossSpec(dice=0, balance=balance))(logits, LABELS)) == pytest.approx(expected)


@pytest.mark.parametrize("spec", [LossSpec(), LossSpec(batch_dice=False, include_background=True, balance=1)])
def test_derivative_is_that_of_the_value(spec: LossSpec) -> None:
    logits = torch.randn(2, 4, 1, 2, 3, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 3, (2, 1, 2, 3))
    assert torch.autograd.gradcheck(DiceCrossEntropy(spec), (logits, labels))


def test_hopeless_voxels_still_pull() -> None:
    logits = torch.tensor([200.0, -200.0]).reshape(1, 2, 1, 1, 1).requires_grad_()  # the true class has p = 0
    loss = DiceCrossEntropy(LossSpec(dice=0))(logits, torch.ones(1, 1, 1, 1, dtype=torch.uint8))
    assert torch.isfinite(loss)
    torch.testing.assert_close(torch.autograd.grad(loss, logits)[0].flatten(), torch.tensor([1.0, -1.0]))


def test_bfloat16_logits_are_computed_in_float32() -> None:
    loss = DiceCrossEntropy(LossSpec())(
        torch.randn(1, 2, 4, 4, 4).bfloat16(), torch.zeros(1, 4, 4, 4, dtype=torch.uint8)
    )
    assert loss.dtype == torch.float32


def pyramid(labels: Tensor, view: int = 0) -> tuple[list[Output], list[Tensor]]:
    """Outputs at three resolutions, and the loss of each."""
    outputs = [
        Output(torch.randn(1, 3, 4 // step, 4 // step, 4 // step), view, (step, step, step)) for step in (1, 2, 4)
    ]
    loss = DiceCrossEntropy(LossSpec())
    steps = (output.step[0] for output in outputs)
    return outputs, [
        loss(output.logits_BKZYX, labels[:, ::step, ::step, ::step])
        for output, step in zip(outputs, steps, strict=True)
    ]


def test_coarser_outputs_count_by_halves_and_see_thinned_labels() -> None:
    labels = torch.randint(0, 3, (1, 4, 4, 4))
    outputs, parts = pyramid(labels)
    expected = (parts[0] + parts[1] / 2 + parts[2] / 4) / 1.75
    torch.testing.assert_close(SupervisedLoss(LossSpec())(outputs, [labels]), expected)


def test_deep_supervision_can_fade_over_the_run() -> None:
    labels = torch.randint(0, 3, (1, 4, 4, 4))
    outputs, parts = pyramid(labels)
    loss = SupervisedLoss(LossSpec(auxiliary=0.4, auxiliary_decay=True))
    torch.testing.assert_close(loss(outputs, [labels], 0.0), (parts[0] + 0.4 * parts[1] + 0.16 * parts[2]) / 1.56)
    torch.testing.assert_close(loss(outputs, [labels], 0.5), (parts[0] + 0.2 * parts[1] + 0.04 * parts[2]) / 1.24)
    torch.testing.assert_close(loss(outputs, [labels], 1.0), parts[0])


def test_anisotropic_outputs_see_labels_thinned_along_their_own_axes() -> None:
    labels = torch.randint(0, 3, (1, 2, 4, 4))
    output = Output(torch.randn(1, 3, 2, 2, 2), step=(1, 2, 2))
    expected = DiceCrossEntropy(LossSpec())(output.logits_BKZYX, labels[:, :, ::2, ::2])
    torch.testing.assert_close(SupervisedLoss(LossSpec())([output], [labels]), expected)


def test_outputs_of_one_resolution_count_alike() -> None:
    labels = torch.randint(0, 3, (1, 4, 4, 4))
    outputs = [Output(torch.randn(1, 3, 4, 4, 4)) for _ in range(3)]
    loss = DiceCrossEntropy(LossSpec())
    expected = torch.stack([loss(output.logits_BKZYX, labels) for output in outputs]).mean()
    torch.testing.assert_close(SupervisedLoss(LossSpec())(outputs, [labels]), expected)


def test_branches_are_summed_each_against_the_labels_of_its_view() -> None:
    labels = [torch.randint(0, 3, (1, 4, 4, 4)) for _ in range(3)]
    outputs = [Output(torch.randn(1, 3, 4, 4, 4), view) for view in range(3)]
    loss = DiceCrossEntropy(LossSpec())
    expected = sum(loss(output.logits_BKZYX, labels[output.view]) for output in outputs)
    torch.testing.assert_close(SupervisedLoss(LossSpec())(outputs, labels), expected)


@pytest.mark.parametrize("values", [{"dice": 0, "cross_entropy": 0}, {"dice": -1}, {"focal": 1}])
def test_impossible_losses_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LossSpec.model_validate(values)
