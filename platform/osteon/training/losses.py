"""What training minimises: Dice plus cross-entropy, at one resolution and at several.

Legend: B batch, K classes (background counted), Z Y X voxels, N = Z*Y*X.
The values are MONAI's (`monai.losses.DiceCELoss` with softmax) unless absent classes are left out; computed without a one-hot copy of the labels, which
at 126 classes and 128³ voxels would be a gigabyte per image.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

SMOOTHING = 1e-5  # MONAI's smooth_nr and smooth_dr


class LossSpec(BaseModel):
    """The loss and how its parts weigh."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dice: float = Field(default=1.0, ge=0, description="Weight of the soft Dice loss.")
    cross_entropy: float = Field(default=1.0, ge=0, description="Weight of the cross-entropy.")
    batch_dice: bool = Field(
        default=True, description="Take Dice over the whole batch at once instead of image by image."
    )
    include_background: bool = Field(default=False, description="Count the background as a class in the Dice loss.")
    present_only: bool = Field(
        default=True,
        description="Average Dice over the classes that the patches hold. An absent class has Dice 0 whatever the "
        "network says; of many bones most are absent from a patch and would only weaken the others.",
    )

    @model_validator(mode="after")
    def _something_counts(self) -> LossSpec:
        if self.dice == 0 and self.cross_entropy == 0:
            raise ValueError("dice and cross_entropy are both 0: nothing would be learnt")
        return self


class DiceCrossEntropy(nn.Module):
    """Weighted sum of soft Dice loss (Milletari et al. 2016, arXiv:1606.04797) and cross-entropy."""

    def __init__(self, spec: LossSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, logits_BKZYX: Tensor, labels_BZYX: Tensor) -> Tensor:
        """The loss, a scalar in float32; ``labels`` are class numbers of any integer type."""
        log_p_BKN = functional.log_softmax(logits_BKZYX.float().flatten(2), dim=1)
        labels_BN = labels_BZYX.flatten(1).long()
        loss = self.spec.cross_entropy * functional.nll_loss(log_p_BKN, labels_BN)
        if self.spec.dice:
            loss = loss + self.spec.dice * self._dice(log_p_BKN.exp(), labels_BN)
        return loss

    def _dice(self, p_BKN: Tensor, labels_BN: Tensor) -> Tensor:
        hit_BN = p_BKN.gather(1, labels_BN[:, None]).squeeze(1)
        zeros_BK = p_BKN.new_zeros(p_BKN.shape[:2])
        overlap_BK = zeros_BK.scatter_add(1, labels_BN, hit_BN)
        voxels_BK = zeros_BK.scatter_add(1, labels_BN, torch.ones_like(hit_BN))
        size_BK = voxels_BK + p_BKN.sum(2)
        if self.spec.batch_dice:
            overlap_BK, voxels_BK, size_BK = (x_BK.sum(0, keepdim=True) for x_BK in (overlap_BK, voxels_BK, size_BK))
        dice_BK = (2 * overlap_BK + SMOOTHING) / (size_BK + SMOOTHING)
        counted_BK = (voxels_BK > 0) if self.spec.present_only else torch.ones_like(voxels_BK, dtype=torch.bool)
        counted_BK[:, 0] &= self.spec.include_background
        return ((1 - dice_BK) * counted_BK).sum() / counted_BK.sum().clamp(min=1)


class DeepLoss(nn.Module):
    """The same loss at every supervised resolution, weighted 1, 1/2, 1/4 … and normalised (nnU-Net)."""

    def __init__(self, spec: LossSpec) -> None:
        super().__init__()
        self.loss = DiceCrossEntropy(spec)

    def forward(self, levels: Sequence[Tensor], labels_BZYX: Tensor) -> Tensor:
        """The loss of logits, finest first; level n is 2^n times coarser and sees every 2^n-th label."""
        weights = [0.5**n for n in range(len(levels))]
        steps = [2**n for n in range(len(levels))]
        parts = [
            weight * self.loss(logits, labels_BZYX[:, ::step, ::step, ::step])
            for weight, step, logits in zip(weights, steps, levels, strict=True)
        ]
        return torch.stack(parts).sum() / sum(weights)
