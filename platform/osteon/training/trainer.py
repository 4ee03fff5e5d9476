"""The state of a training run and one step of it: network, optimiser, averaged weights, step, time.

Legend: B batch, V views, Z Y X voxels. Randomness is no part of the state: every draw is a function of the seed,
the rank and the step, so a run that goes on from step n draws what the unbroken one drew.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from osteon.models.network import Network
from osteon.training.losses import LossSpec, SupervisedLoss
from osteon.training.optim import OptimSpec, build_optimizer, learning_rate_at, set_learning_rate
from osteon.training.small_maps import keep_small_maps_exact
from osteon.training.team import Team


@dataclass(frozen=True)
class Step:
    """What one step did. Tensors stay on the device until somebody looks.

    Attributes:
        loss: scalar, this worker's.
        gradient_norm: scalar, of all gradients before clipping.
        learning_rate: the rate used.
    """

    loss: Tensor
    gradient_norm: Tensor
    learning_rate: float


class Trainer:
    """Owns everything that changes during training and can save and restore all of it.

    Attributes:
        network: the network being trained, on ``device``.
        average: exponentially averaged copy of it, or None.
        step: optimiser steps done.
        elapsed_s: wall time trained, over all interruptions.
    """

    def __init__(
        self,
        network: Network,
        loss: LossSpec,
        optim: OptimSpec,
        *,
        device: torch.device,
        precision: Literal["bf16", "float32"],
        team: Team,
    ) -> None:
        self.network = network.to(device)
        if precision == "bf16" and device.type == "cpu":
            keep_small_maps_exact(self.network)
        self.device = device
        self.step = 0
        self.elapsed_s = 0.0
        self.average = copy.deepcopy(self.network).requires_grad_(False) if optim.ema_decay else None
        self._optim = optim
        self._optimizer = build_optimizer(optim, self.network.parameters())
        self._supervised = team.share(_Supervised(self.network, SupervisedLoss(loss), precision == "bf16"), device)

    @property
    def judged(self) -> Network:
        """The network that is validated and shipped: the averaged one where there is one."""
        return self.average or self.network

    def train_step(self, input_BVZYX: Tensor, labels: Sequence[Tensor], progress: float) -> Step:
        """One optimiser step at ``progress`` (0 to 1) of the run.

        Args:
            input_BVZYX: one channel per view that the network sees.
            labels: classes BZYX of every view that is judged, the target first.
            progress: share of the run that is done.
        """
        self.network.train()
        torch.manual_seed(self.step)  # dropout, the only chance inside a network
        rate = learning_rate_at(self._optim, progress)
        set_learning_rate(self._optimizer, rate)
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._supervised(input_BVZYX, labels, progress)
        loss.backward()
        limit = self._optim.gradient_clip
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), float("inf") if limit is None else limit)
        self._optimizer.step()
        self._update_average()
        self.step += 1
        return Step(loss.detach(), norm.detach(), rate)

    def state_dict(self) -> dict[str, Any]:
        """All state, of tensors and plain values only, so that it loads with ``weights_only=True``."""
        return {
            "step": self.step,
            "elapsed_s": self.elapsed_s,
            "network": self.network.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "optimizer": self._optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from ``state``; the network and the optimiser must be of the same recipe."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])
        if self.average:
            self.average.load_state_dict(state["average"])
        self.step = int(state["step"])
        self.elapsed_s = float(state["elapsed_s"])

    @torch.no_grad()
    def _update_average(self) -> None:
        if not self.average or self._optim.ema_decay is None:
            return
        # Early on the average would be mostly the random first weights: let it follow faster (as in TensorFlow's EMA).
        decay = min(self._optim.ema_decay, (1 + self.step) / (10 + self.step))
        for kept, fresh in zip(self.average.parameters(), self.network.parameters(), strict=True):
            kept.lerp_(fresh, 1 - decay)
        for own, statistics in zip(self.average.buffers(), self.network.buffers(), strict=True):
            own.copy_(statistics)  # of batch norms: averages already


class _Supervised(nn.Module):
    """Network and loss in one module, so that averaging gradients over workers hooks into a single forward."""

    def __init__(self, network: Network, loss: SupervisedLoss, bf16: bool) -> None:
        super().__init__()
        self.network = network
        self.loss = loss
        self.bf16 = bf16

    def forward(self, input_BVZYX: Tensor, labels: Sequence[Tensor], progress: float) -> Tensor:
        with torch.autocast(input_BVZYX.device.type, torch.bfloat16, enabled=self.bf16):
            outputs = self.network.supervised(input_BVZYX)
        loss: Tensor = self.loss(outputs, labels, progress)
        return loss
