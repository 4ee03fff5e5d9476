"""Learning rates over a run, and the optimisers they drive."""

import math

import pytest
import torch
from torch import nn

from osteon.training.optim import OptimSpec, build_optimizer, learning_rate_at, set_learning_rate


def spec(schedule: str, warmup: float = 0.0) -> OptimSpec:
    return OptimSpec.model_validate({"schedule": schedule, "learning_rate": 1.0, "warmup": warmup})


@pytest.mark.parametrize(
    ("schedule", "halfway", "end"),
    [("poly", 0.5**0.9, 0.0), ("cosine", 0.5, 0.0), ("constant", 1.0, 1.0), ("one-cycle", (1 + 4e-6) / 2, 4e-6)],
)
def test_rate_falls_from_the_peak_as_the_formula_says(schedule: str, halfway: float, end: float) -> None:
    rates = [learning_rate_at(spec(schedule), progress) for progress in (0, 0.5, 1)]
    assert rates == pytest.approx([1.0, halfway, end], abs=1e-9)


@pytest.mark.parametrize("schedule", ["poly", "cosine", "constant"])
def test_warmup_rises_in_a_line_to_the_peak(schedule: str) -> None:
    rates = [learning_rate_at(spec(schedule, warmup=0.2), progress) for progress in (0, 0.1, 0.2)]
    assert rates == pytest.approx([0, 0.5, 1])


def test_one_cycle_is_torchs() -> None:
    parameter = nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0, momentum=0.9)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1.0, total_steps=101, pct_start=0.31, cycle_momentum=False
    )
    expected, found = [], []
    for step in range(101):
        expected.append(optimizer.param_groups[0]["lr"])
        # torch counts the rise in whole steps: (pct_start * total - 1) of (total - 1)
        found.append(learning_rate_at(spec("one-cycle", warmup=(0.31 * 101 - 1) / 100), step / 100))
        optimizer.step()
        schedule.step()
    assert found == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("schedule", ["poly", "cosine", "constant", "one-cycle"])
def test_rate_is_never_negative_or_above_the_peak(schedule: str) -> None:
    rates = [learning_rate_at(spec(schedule, warmup=0.1), k / 1000) for k in range(1001)]
    assert all(0 <= rate <= 1 for rate in rates)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("adamw", torch.optim.AdamW),
        ("adam", torch.optim.Adam),
        ("sgd", torch.optim.SGD),
        ("adadelta", torch.optim.Adadelta),
    ],
)
def test_optimizer_moves_weights_at_the_rate_set(name: str, kind: type[torch.optim.Optimizer]) -> None:
    parameter = nn.Parameter(torch.ones(1))
    optimizer = build_optimizer(OptimSpec.model_validate({"optimizer": name, "weight_decay": 0}), [parameter])
    assert type(optimizer) is kind
    set_learning_rate(optimizer, 0.25)
    parameter.grad = 2 * parameter.detach()  # of its square
    optimizer.step()
    # Adam's first step is the rate itself; SGD with Nesterov momentum 0.99 moves (1 + 0.99) * gradient 2 * rate;
    # Adadelta, with rho 0.9 and epsilon 1e-6, the root of epsilon / ((1 - rho) * gradient^2 + epsilon) of that.
    moved = {"sgd": 0.25 * 2 * 1.99, "adadelta": 0.25 * 2 * math.sqrt(1e-6 / (0.1 * 2**2 + 1e-6))}.get(name, 0.25)
    assert 1 - parameter.item() == pytest.approx(moved, rel=1e-4)


def test_sgd_has_nesterov_momentum() -> None:
    optimizer = build_optimizer(OptimSpec(optimizer="sgd"), [nn.Parameter(torch.ones(1))])
    assert optimizer.defaults["nesterov"]
    assert math.isclose(optimizer.defaults["momentum"], 0.99)
