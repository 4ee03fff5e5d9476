"""How weights move: the optimiser, its learning rate over the run, and averaged weights. Knows no networks or data."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

MOMENTUM = 0.99  # of SGD with Nesterov's step, as in nnU-Net
POLY_POWER = 0.9  # Chen et al. 2017, arXiv:1606.00915
ONE_CYCLE_FIRST = 25.0  # Smith & Topin 2018, arXiv:1708.07120, with the factors of torch.optim.lr_scheduler.OneCycleLR
ONE_CYCLE_LAST = 1e4


class OptimSpec(BaseModel):
    """The optimiser and its schedule. The schedule follows the share of the run that is done, by steps or by time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    optimizer: Literal["adamw", "adam", "sgd", "adadelta"] = Field(
        default="adamw",
        description="adamw: weight decay apart from the gradient; sgd: with Nesterov momentum 0.99; adadelta: finds "
        "its own step sizes, which the learning rate (as published: 1) multiplies.",
    )
    learning_rate: float = Field(default=3e-3, gt=0, description="The highest learning rate of the run.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Decay of the weights towards 0.")
    schedule: Literal["poly", "cosine", "one-cycle", "constant"] = Field(
        default="cosine", description="How the learning rate falls (one-cycle: also rises) over the run."
    )
    warmup: float = Field(
        default=0.02,
        ge=0,
        lt=1,
        description="Share of the run in which the rate rises from 0; one-cycle: up to its peak.",
    )
    gradient_clip: float | None = Field(
        default=12.0, gt=0, description="Largest norm of all gradients; null: no limit."
    )
    ema_decay: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Averaged weights keep this much per step and are the ones validated; null: none.",
    )


_KINDS: dict[str, type[torch.optim.AdamW | torch.optim.Adam | torch.optim.Adadelta]] = {
    "adamw": torch.optim.AdamW,
    "adam": torch.optim.Adam,
    "adadelta": torch.optim.Adadelta,  # Zeiler 2012, arXiv:1212.5701
}


def build_optimizer(spec: OptimSpec, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The optimiser; its learning rate is set before every step from `learning_rate_at`."""
    chosen = list(parameters)
    if spec.optimizer == "sgd":
        return torch.optim.SGD(
            chosen, lr=spec.learning_rate, momentum=MOMENTUM, nesterov=True, weight_decay=spec.weight_decay
        )
    return _KINDS[spec.optimizer](chosen, lr=spec.learning_rate, weight_decay=spec.weight_decay)


def learning_rate_at(spec: OptimSpec, progress: float) -> float:
    """The learning rate after ``progress`` (0 to 1) of the run."""
    peak = spec.learning_rate
    rising = progress < spec.warmup
    done = progress / spec.warmup if rising else min(1.0, (progress - spec.warmup) / (1 - spec.warmup))
    if spec.schedule == "one-cycle":
        first = peak / ONE_CYCLE_FIRST
        start, end = (first, peak) if rising else (peak, first / ONE_CYCLE_LAST)
        return end + (start - end) * (1 + math.cos(math.pi * done)) / 2
    if rising:
        return peak * done
    if spec.schedule == "poly":
        return peak * math.pow(1 - done, POLY_POWER)
    return peak * (1 + math.cos(math.pi * done)) / 2 if spec.schedule == "cosine" else peak


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Use ``learning_rate`` for the next step."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
