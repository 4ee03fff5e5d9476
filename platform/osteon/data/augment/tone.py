"""Changes of grey value: brightness, contrast and gamma, the same for a target and its contexts."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Generator

from osteon.data.augment.transform import Probability, Range, Transform, Views, draw_between, per_sample


def _positive(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] <= 0:
        raise ValueError(f"must be above 0, not {limits[0]}")
    return limits


Factor = Annotated[Range, AfterValidator(_positive)]


class BrightnessSpec(Transform):
    """A constant added."""

    probability: Probability = 0.15
    shift: Range = Field(default=(-0.1, 0.1), description="What is added, in units of the normalised image.")


class ContrastSpec(Transform):
    """Differences from the target's mean stretched or shrunk."""

    probability: Probability = 0.15
    factor: Factor = Field(default=(0.8, 1.25), description="What differences from the mean are multiplied by.")


class GammaSpec(Transform):
    """A power of the grey value, its range kept."""

    probability: Probability = 0.15
    exponent: Factor = Field(default=(0.75, 1.4), description="Power of the value scaled to 0 … 1; below 1 brightens.")


def shift_brightness(views: Views, spec: BrightnessSpec, generator: Generator) -> None:
    """Brighten or darken the drawn samples, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    shift_B = draw_between(spec.shift, (len(rows),), generator)
    for view_BCZYX in views:
        view_BCZYX[rows.to(view_BCZYX.device)] += per_sample(shift_B, view_BCZYX)


def stretch_contrast(views: Views, spec: ContrastSpec, generator: Generator) -> None:
    """Stretch or shrink the contrast of the drawn samples, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    factor_B = draw_between(spec.factor, (len(rows),), generator)
    where = rows.to(views[0].device)
    mean = views[0][where].mean(dim=(1, 2, 3, 4), keepdim=True)
    for view_BCZYX in views:
        view_BCZYX[where] = torch.lerp(mean, view_BCZYX[where], per_sample(factor_B, view_BCZYX))


def bend_gamma(views: Views, spec: GammaSpec, generator: Generator) -> None:
    """Raise the drawn samples to a power between their lowest and highest value, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    exponent_B = draw_between(spec.exponent, (len(rows),), generator)
    if not len(rows):
        return
    where = rows.to(views[0].device)
    low = torch.stack([view[where].amin(dim=(1, 2, 3, 4)) for view in views]).amin(0)
    high = torch.stack([view[where].amax(dim=(1, 2, 3, 4)) for view in views]).amax(0)
    span = (high - low).clamp(min=1e-6)
    for view_BCZYX in views:
        unit = (view_BCZYX[where] - per_sample(low, view_BCZYX)) / per_sample(span, view_BCZYX)
        bent = unit.clamp_(0, 1) ** per_sample(exponent_B, view_BCZYX)
        view_BCZYX[where] = bent * per_sample(span, view_BCZYX) + per_sample(low, view_BCZYX)
