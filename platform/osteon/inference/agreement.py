"""Whether an engine computes what eager float32 torch computes: measured on a probe patch when a backend is opened."""

from __future__ import annotations

import logging

import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.core.errors import OsteonError
from osteon.core.geometry import Index3

LEAST_AGREEMENT = 0.95  # equal labels on the probe; a wrong layout or a broken kernel gives far less
LARGEST_ERROR = 0.1  # of logits, relative to their spread over voxels; catches nets that label all of it background
logger = logging.getLogger(__name__)


class BackendDisagrees(OsteonError):
    """An engine whose results are not those of the network."""


def probe_patch(window_shape: Index3) -> Tensor:
    """A patch that looks like anatomy to a network: noise at three scales, float32 (1, 1, Z, Y, X)."""
    generator = torch.Generator().manual_seed(20)
    patch = torch.zeros(1, 1, *window_shape)
    for step in (1, 4, 16):
        coarse = [-(-side // step) for side in window_shape]
        noise = torch.randn(1, 1, *coarse, generator=generator)
        patch += functional.interpolate(noise, size=window_shape, mode="trilinear", align_corners=False)
    return patch


def check_agreement(name: str, network: nn.Module, logits_BKZYX: Tensor, patch_BCZYX: Tensor) -> float:
    """The share of voxels of the patch on which labels equal those of eager float32 on the CPU.

    Args:
        name: the backend, for the message.
        network: in evaluation mode, on the CPU.
        logits_BKZYX: what the backend made of the patch.
        patch_BCZYX: the patch.

    Raises:
        BackendDisagrees: ``backend-disagrees``.
    """
    with torch.inference_mode():
        expected = network(patch_BCZYX)
        found = logits_BKZYX.cpu()
        share = float((found.argmax(1) == expected.argmax(1)).float().mean())
        spread = (expected - expected.mean(dim=(0, 2, 3, 4), keepdim=True)).square().mean().sqrt()
        error = float((found - expected).square().mean().sqrt() / spread.clamp(min=1e-12))
    logger.info("%s: %.4f of the probe's labels as in eager float32, logits off by %.2g", name, share, error)
    if share < LEAST_AGREEMENT or not error <= LARGEST_ERROR:
        raise BackendDisagrees(
            "backend-disagrees",
            f"{name} gives {share:.1%} of the labels of eager float32 (logits off by {error:.2g} of their spread)",
            remedy=f"use --backend torch; at least {LEAST_AGREEMENT:.0%} and at most {LARGEST_ERROR} are required",
        )
    return share
