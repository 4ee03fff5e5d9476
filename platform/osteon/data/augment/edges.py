"""A picture's edges laid over it, as imgaug's `EdgeDetect` does with 8-bit pictures: black is the lowest value here."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Generator, Tensor

from osteon.data.augment.transform import Share, Transform, Views, draw_between, per_sample, range_of


class EdgesSpec(Transform):
    """The image mixed with its Laplacian."""

    strength: Annotated[Share, Field(description="Share of the edges in the mixture; 1: edges on black.")] = (0.0, 0.75)


def add_edges(views: Views, spec: EdgesSpec, generator: Generator) -> None:
    """Lay edges over the drawn samples, in place, within their range of values; each view shows its own."""
    rows = spec.draw_rows(len(views[0]), generator)
    strength_B = draw_between(spec.strength, (len(rows),), generator)
    if not len(rows):
        return
    where = rows.to(views[0].device)
    low, high = (per_sample(values_B, views[0]) for values_B in range_of(views, where))
    for view_BCZYX in views:
        edges = low + _laplacian(view_BCZYX[where])
        mixed = torch.lerp(view_BCZYX[where], edges, per_sample(strength_B, view_BCZYX))
        view_BCZYX[where] = mixed.clamp(low, high)


def _laplacian(block_BCZYX: Tensor) -> Tensor:
    """The sum of the second differences along all axes; beyond the block its edge voxels are repeated."""
    return sum((_second_difference(block_BCZYX, dim) for dim in (-3, -2, -1)), torch.zeros_like(block_BCZYX))


def _second_difference(block_BCZYX: Tensor, dim: int) -> Tensor:
    first, last = block_BCZYX.narrow(dim, 0, 1), block_BCZYX.narrow(dim, -1, 1)
    return torch.cat([first, block_BCZYX, last], dim).diff(n=2, dim=dim)
