"""Whether an engine computes what eager float32 torch computes: measured on a probe patch when a backend is opened."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from osteon.core.errors import OsteonError
from osteon.core.geometry import Index3
from osteon.inference.backends import Head, Output, computed, num_views_of

LEAST_AGREEMENT = 0.9  # equal labels on the probe; a wrong layout or a broken kernel gives far less
LARGEST_ERROR = 0.1  # of logits, relative to their spread over a plane; catches nets that label all of it background
logger = logging.getLogger(__name__)


class BackendDisagrees(OsteonError):
    """An engine whose results are not those of the network."""


def probe_patch(window_shape: Index3, num_views: int = 1) -> Tensor:
    """A patch that looks like anatomy to a network: noise at three scales, float32 (1, V, Z, Y, X)."""
    generator = torch.Generator().manual_seed(20)
    patch = torch.zeros(1, num_views, *window_shape)
    for step in (1, 4, 16):
        coarse = [-(-side // step) for side in window_shape]
        noise = torch.randn(1, num_views, *coarse, generator=generator)
        patch += functional.interpolate(noise, size=window_shape, mode="trilinear", align_corners=False)
    return patch


def measure_agreement(
    name: str, network: nn.Module, compute: Callable[[Tensor, Output], Tensor], window_shape: Index3
) -> float:
    """The share of voxels of the probe on which labels equal those of eager float32 on the CPU.

    Compared is what the stream will ask for. Scores are made of features plane by plane: those of a whole window with
    many classes can be larger than everything else.

    Args:
        name: the backend, for the message.
        network: in evaluation mode, on the CPU.
        compute: the backend.
        window_shape: the backend's.

    Raises:
        BackendDisagrees: ``backend-disagrees``.
    """
    head, patch = Head.of(network), probe_patch(window_shape, num_views_of(network))
    with torch.inference_mode():
        expected = computed(network, head.cheapest)(patch)
        found = compute(patch, head.cheapest).cpu()
        return _compare(name, found, expected, head)


def _labels(scores_BCZYX: Tensor, head: Head) -> Tensor:
    """What every voter would vote for (R, B, Z, Y, X), or what they say together, (B, Z, Y, X), by probability."""
    scores_RBKZYX = torch.stack(scores_BCZYX.chunk(head.num_voters, dim=1))
    if head.fusion == "probability":
        return scores_RBKZYX.softmax(2).mean(0).argmax(1)
    return scores_RBKZYX.argmax(2)


def _compare(name: str, found_BCZYX: Tensor, expected_BCZYX: Tensor, head: Head) -> float:
    equal, errors, spreads = [], [], []
    for plane in range(found_BCZYX.shape[2]):
        planes = (each[:, :, plane : plane + 1] for each in (found_BCZYX, expected_BCZYX))
        found, expected = (head.scores(each) if head.cheapest == "features" else each.float() for each in planes)
        equal.append((_labels(found, head) == _labels(expected, head)).float().mean())
        errors.append((found - expected).square().mean())
        spreads.append((expected - expected.mean(dim=(2, 3, 4), keepdim=True)).square().mean())
    share = float(torch.stack(equal).mean())
    error = float((torch.stack(errors).mean() / torch.stack(spreads).mean().clamp(min=1e-12)).sqrt())
    logger.info("%s: %.4f of the probe's labels as in eager float32, logits off by %.2g", name, share, error)
    if share < LEAST_AGREEMENT or not error <= LARGEST_ERROR:
        raise BackendDisagrees(
            "backend-disagrees",
            f"{name} gives {share:.1%} of the labels of eager float32 (logits off by {error:.2g} of their spread)",
            remedy=f"use --backend torch; at least {LEAST_AGREEMENT:.0%} and at most {LARGEST_ERROR} are required",
        )
    return share
