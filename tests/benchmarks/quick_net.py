"""A network that knows the bones of one scan, trained in minutes: random weights would agree with nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from osteon.models.build import build
from osteon.models.network import Network
from osteon.models.volume_specs import UNet3dSpec

LEARNING_RATE = 3e-3
BONE_SHARE = 0.7  # of the patches are centred on a bone


@dataclass(frozen=True)
class Lesson:
    """What is learnt.

    Attributes:
        input: normalised scan, float32 z, y, x.
        classes: class of every voxel, int64.
        num_classes: the background counted.
        side: of a patch.
    """

    input: Tensor
    classes: Tensor
    num_classes: int
    side: int

    def patches(self, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Endless patches: input (1, 1, Z, Y, X) and classes (1, Z, Y, X); every bone is as likely as any other."""
        rng = np.random.default_rng(seed)
        voxels = [torch.nonzero(self.classes == number).numpy() for number in range(1, self.num_classes)]
        voxels = [places for places in voxels if len(places)]
        while True:
            places = voxels[rng.integers(len(voxels))]
            bone = places[rng.integers(len(places))]
            anywhere = rng.integers(self.classes.shape)
            middle = bone if rng.random() < BONE_SHARE else anywhere
            first = middle - self.side // 2 + rng.integers(-self.side // 4, self.side // 4 + 1, 3)
            first = np.clip(first, 0, np.array(self.classes.shape) - self.side)
            where = tuple(slice(int(start), int(start) + self.side) for start in first)
            yield self.input[where][None, None], self.classes[where][None]


def fit(lesson: Lesson, spec: UNet3dSpec, minutes: float) -> Network:
    """A network of ``spec`` after ``minutes`` of AdamW on cross-entropy and Dice, in bfloat16."""
    torch.manual_seed(0)
    network = build(spec, num_classes=lesson.num_classes)
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE)
    began, seconds = time.monotonic(), 60 * minutes
    for input_, classes in lesson.patches(seed=0):
        passed = (time.monotonic() - began) / seconds
        if passed >= 1:
            break
        for group in optimiser.param_groups:
            group["lr"] = LEARNING_RATE * (1 - passed) ** 0.9
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(input_)
        optimiser.zero_grad()
        torch.autograd.backward(_loss(logits.float(), classes))
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    return network.eval()


def _loss(logits: Tensor, classes: Tensor) -> Tensor:
    likely = logits.softmax(1)
    truth = functional.one_hot(classes, logits.shape[1]).movedim(-1, 1)
    shared, total = (likely * truth).sum((0, 2, 3, 4)), (likely + truth).sum((0, 2, 3, 4))
    dice = (2 * shared / total.clamp(min=1e-5))[truth.sum((0, 2, 3, 4)) > 0]
    return functional.cross_entropy(logits, classes) + 1 - dice.mean()
