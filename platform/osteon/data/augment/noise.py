"""Quantum noise of a scanner, as white Gaussian noise."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator

from osteon.data.augment.transform import Probability, Range, Transform, Views, draw_between, per_sample


class NoiseSpec(Transform):
    """White Gaussian noise."""

    probability: Probability = 0.15
    std: Range = Field(
        default=(0.0, 0.1), description="Deviation, in units of the normalised image (1 = the recipe's std)."
    )


def add_noise(views: Views, spec: NoiseSpec, generator: Generator) -> None:
    """Add noise to the drawn samples, in place.

    A context's voxel is the mean of 8^k voxels of the target's size, so its noise is weaker by the root of that.
    """
    rows = spec.draw_rows(len(views[0]), generator)
    std_B = draw_between(spec.std, (len(rows),), generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    if not len(rows):
        return
    source = torch.Generator(views[0].device).manual_seed(seed)
    for k, view_BCZYX in enumerate(views):
        shape = (len(rows), *view_BCZYX.shape[1:])
        noise = torch.randn(shape, generator=source, device=view_BCZYX.device)
        view_BCZYX[rows.to(view_BCZYX.device)] += noise * per_sample(std_B / 8 ** (k / 2), view_BCZYX)
