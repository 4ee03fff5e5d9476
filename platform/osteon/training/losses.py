"""What training minimises: Dice plus cross-entropy, at one resolution and at several.

Legend: B batch, K classes (background counted), Z Y X voxels, N = Z*Y*X.
Without `balance` and `present_only` the values are MONAI's (`monai.losses.DiceCELoss` with softmax). They come from a
few sums per class, with one softmax and no one-hot labels: at 126 classes and 128³ voxels those alone are a gigabyte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from osteon.models.network import Output
from osteon.training.hybrid import Hybrid


class LossSpec(BaseModel):
    """The loss and how its parts weigh."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["dice-cross-entropy", "hybrid"] = Field(
        default="dice-cross-entropy",
        description="dice-cross-entropy: a weighted sum, see below; hybrid: binary cross-entropy + Dice of Li et al. "
        "2022, for which of the keys below only `smoothing` and those of coarser outputs count.",
    )
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
    balance: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="How much small classes count in the cross-entropy: 0 every voxel alike, 1 every class of a batch "
        "alike however small, between: a class of n voxels counts as n^(1 - balance).",
    )
    smoothing: float = Field(default=1e-5, gt=0, description="Added to both sides of Dice's fraction.")
    auxiliary: float = Field(
        default=0.5, ge=0, description="Deep supervision: the n-th coarser output counts as this to the n."
    )
    auxiliary_decay: bool = Field(default=False, description="Let `auxiliary` fall to 0 over the run.")

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
        labels_BN = labels_BZYX.flatten(1).long()
        entropy_BK, overlap_BK, size_BK = _ClassSums.apply(  # type: ignore[no-untyped-call]  # torch leaves it untyped
            logits_BKZYX.flatten(2), labels_BN
        )
        voxels_BK = torch.zeros_like(size_BK).scatter_add(1, labels_BN, torch.ones_like(labels_BN, dtype=size_BK.dtype))
        loss = self.spec.cross_entropy * self._entropy(entropy_BK.sum(0), voxels_BK.sum(0))
        if self.spec.dice:
            loss = loss + self.spec.dice * self._dice(overlap_BK, voxels_BK, size_BK + voxels_BK)
        return loss

    def _entropy(self, entropy_K: Tensor, voxels_K: Tensor) -> Tensor:
        shares_K = torch.where(voxels_K > 0, voxels_K.pow(1 - self.spec.balance), 0)
        return (entropy_K / voxels_K.clamp(min=1) * shares_K).sum() / shares_K.sum()

    def _dice(self, overlap_BK: Tensor, voxels_BK: Tensor, sizes_BK: Tensor) -> Tensor:
        if self.spec.batch_dice:
            overlap_BK, voxels_BK, sizes_BK = (x_BK.sum(0, keepdim=True) for x_BK in (overlap_BK, voxels_BK, sizes_BK))
        dice_BK = (2 * overlap_BK + self.spec.smoothing) / (sizes_BK + self.spec.smoothing)
        counted_BK = (voxels_BK > 0) if self.spec.present_only else torch.ones_like(voxels_BK, dtype=torch.bool)
        counted_BK[:, 0] &= self.spec.include_background
        return ((1 - dice_BK) * counted_BK).sum() / counted_BK.sum().clamp(min=1)


class _ClassSums(torch.autograd.Function):
    """Per image and class k, of logits_BKN and labels_BN, with p the softmax over classes.

    Gives three (B, K): the sum of -log p_k over voxels of class k, of p_k over the same, and of p_k over all voxels.
    The derivative is written out, because autograd would keep and rewrite half a dozen arrays of the logits' size:
    dz_k = p_k (t_k - s + e_y) + [k = y] (p_y o_y - e_y), s = Σ_j p_j t_j + p_y o_y, with e, o, t the gradients of the
    three sums and y the voxel's class.
    """

    @staticmethod
    def forward(ctx: Any, logits_BKN: Tensor, labels_BN: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        p_BKN = torch.softmax(logits_BKN, dim=1, dtype=torch.promote_types(logits_BKN.dtype, torch.float32))
        hit_BN = p_BKN.gather(1, labels_BN[:, None]).squeeze(1)
        ctx.save_for_backward(p_BKN, labels_BN, hit_BN)
        ctx.dtype = logits_BKN.dtype
        zeros_BK = p_BKN.new_zeros(p_BKN.shape[:2])
        surprise_BN = -hit_BN.clamp(min=torch.finfo(hit_BN.dtype).tiny).log()  # the derivative needs no such bound
        return zeros_BK.scatter_add(1, labels_BN, surprise_BN), zeros_BK.scatter_add(1, labels_BN, hit_BN), p_BKN.sum(2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, e_BK: Tensor, o_BK: Tensor, t_BK: Tensor) -> tuple[Tensor, None]:
        p_BKN, labels_BN, hit_BN = ctx.saved_tensors
        e_BN, pull_BN = e_BK.gather(1, labels_BN), hit_BN * o_BK.gather(1, labels_BN)
        common_BN = e_BN - pull_BN - torch.bmm(t_BK[:, None], p_BKN).squeeze(1)
        dz_BKN = (t_BK[..., None] + common_BN[:, None]).mul_(p_BKN)
        dz_BKN.scatter_add_(1, labels_BN[:, None], (pull_BN - e_BN)[:, None])
        return dz_BKN.to(ctx.dtype), None


class SupervisedLoss(nn.Module):
    """The loss of everything a network gives: the unweighted sum over views of their outputs, finer ones counting more.

    Coarser outputs of a view are deep supervision: the n-th counts as ``spec.auxiliary`` to the n, and the weights of
    a view add up to 1 (nnU-Net). Outputs of one resolution count alike: networks in one that are trained side by side.
    Branches for contexts are summed as in Schnider et al. 2022, section 2.2.
    """

    def __init__(self, spec: LossSpec) -> None:
        super().__init__()
        self.spec = spec
        self.loss = Hybrid(spec.smoothing) if spec.kind == "hybrid" else DiceCrossEntropy(spec)

    def forward(self, outputs: Sequence[Output], labels: Sequence[Tensor], progress: float = 0.0) -> Tensor:
        """The loss, a scalar in float32.

        Args:
            outputs: of a network, in any order of views, each view's finest first.
            labels: classes BZYX of every view that is judged, the target first.
            progress: share of the run that is done.
        """
        views = sorted({output.view for output in outputs})
        return torch.stack([self._of_view(outputs, view, labels[view], progress) for view in views]).sum()

    def _of_view(self, outputs: Sequence[Output], view: int, labels_BZYX: Tensor, progress: float) -> Tensor:
        mine = [output for output in outputs if output.view == view]
        factor = self.spec.auxiliary * ((1 - progress) if self.spec.auxiliary_decay else 1)
        steps = sorted({output.step for output in mine})
        weights = [factor ** steps.index(output.step) for output in mine]
        parts = []
        for weight, output in zip(weights, mine, strict=True):
            z, y, x = output.step
            parts.append(weight * self.loss(output.logits_BKZYX, labels_BZYX[:, ::z, ::y, ::x]))
        return torch.stack(parts).sum() / sum(weights)
