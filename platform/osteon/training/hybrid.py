"""The Hybrid loss of Li et al. 2022 (section 2.3.2): binary cross-entropy plus Dice with a smoothing factor.

Legend: B batch, K classes (background counted), F = K - 1 foreground classes, Z Y X voxels, N = Z*Y*X.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class Hybrid(nn.Module):
    """-1/N Σ [g log s + (1 - g) log(1 - s)] + 1 - (2 Σ g s + ε) / (Σ s² + Σ g + ε), averaged over foreground classes.

    The paper has one class; s is the softmax score of a class and g 1 where the label is that class, 0 elsewhere.

    Args:
        smoothing: ε.
    """

    def __init__(self, smoothing: float) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, logits_BKZYX: Tensor, labels_BZYX: Tensor) -> Tensor:
        """The loss, a scalar in float32; ``labels`` are class numbers of any integer type."""
        logits_BKN, labels_BN = logits_BKZYX.float().flatten(2), labels_BZYX.flatten(1).long()
        log_s_BKN = functional.log_softmax(logits_BKN, dim=1)
        s_BFN, log_s_BFN = log_s_BKN.exp()[:, 1:], log_s_BKN[:, 1:]
        g_BFN = functional.one_hot(labels_BN, logits_BKN.shape[1]).movedim(-1, 1)[:, 1:].to(s_BFN)
        # log(1 - s) of a score near 1 is the log of what is left over: bounded, as s itself is never exactly 1.
        log_rest_BFN = torch.log1p(-s_BFN.clamp(max=1 - torch.finfo(s_BFN.dtype).eps))
        entropy = -(g_BFN * log_s_BFN + (1 - g_BFN) * log_rest_BFN).mean()
        over = (0, 2)
        overlap_F = 2 * (g_BFN * s_BFN).sum(over) + self.smoothing
        dice_F = overlap_F / (s_BFN.square().sum(over) + g_BFN.sum(over) + self.smoothing)
        return entropy + 1 - dice_F.mean()
