"""What a recipe's network costs: parameters and arithmetic, counted; time per patch, measured on this machine."""

from __future__ import annotations

import time

import torch
from pydantic import BaseModel, ConfigDict
from torch.utils.flop_counter import FlopCounterMode

from osteon.core.geometry import Index3
from osteon.inference.backends import Backend, open_backend
from osteon.models.build import build
from osteon.models.network import num_parameters
from osteon.recipes.recipe import Recipe

REPEATS = 3


class Cost(BaseModel):
    """One row of the table.

    Attributes:
        name: the recipe's.
        architecture: its network's.
        num_views: channels of the input: the patch and its contexts.
        patch_shape: voxels of the patch, z, y, x.
        num_parameters: trainable numbers.
        gflop: thousand million operations of one patch, a multiplication and an addition counted as two.
        ms: milliseconds for one patch; None if it was not measured.
        engine: what measured it, with its precision.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    architecture: str
    num_views: int
    patch_shape: Index3
    num_parameters: int
    gflop: float
    ms: float | None = None
    engine: str | None = None


def cost_of(recipe: Recipe, num_classes: int, *, timed: bool) -> Cost:
    """What the network of a recipe costs when it labels one patch.

    Args:
        recipe: says which network and which patch.
        num_classes: the background counted.
        timed: whether to compute patches with the engine that `osteon segment` takes here.
    """
    patch_shape = recipe.sampling.patch_shape
    with torch.device("meta"):
        network = build(recipe.model, num_classes=num_classes).eval()
        patch = torch.empty(1, network.num_views, *patch_shape)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(patch)
    counted = Cost(
        name=recipe.name,
        architecture=recipe.model.architecture,
        num_views=network.num_views,
        patch_shape=patch_shape,
        num_parameters=num_parameters(network),
        gflop=counter.get_total_flops() / 1e9,
    )
    if not timed:
        return counted
    backend = open_backend(build(recipe.model, num_classes=num_classes), window_shape=patch_shape)
    return counted.model_copy(update={"ms": _milliseconds(backend, patch), "engine": backend.name})


def _milliseconds(backend: Backend, like_BVZYX: torch.Tensor) -> float:
    """The fastest of some patches: whatever else the machine does can only slow one down."""
    patch = torch.zeros(like_BVZYX.shape, device=backend.device)
    return 1e3 * min(_seconds(backend, patch) for _ in range(1 + REPEATS))


def _seconds(backend: Backend, patch_BVZYX: torch.Tensor) -> float:
    began = time.perf_counter()
    backend.submit(patch_BVZYX, backend.head.cheapest).result().float().sum().item()
    return time.perf_counter() - began
