"""Changes of grey value: brightness, contrast, gamma and inversion, the same for a target and its contexts."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from osteon.data.augment.transform import Factor, Probability, Range, Transform, Views, draw_between, per_sample


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


class InvertSpec(Transform):
    """The negative: the lowest grey value becomes the highest, and the other way round."""


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
    low, high = _range(views, where)
    span = (high - low).clamp(min=1e-6)
    for view_BCZYX in views:
        unit = (view_BCZYX[where] - per_sample(low, view_BCZYX)) / per_sample(span, view_BCZYX)
        bent = unit.clamp_(0, 1) ** per_sample(exponent_B, view_BCZYX)
        view_BCZYX[where] = bent * per_sample(span, view_BCZYX) + per_sample(low, view_BCZYX)


def invert(views: Views, spec: InvertSpec, generator: Generator) -> None:
    """Turn the drawn samples into their negatives, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    if not len(rows):
        return
    where = rows.to(views[0].device)
    low, high = _range(views, where)
    for view_BCZYX in views:
        view_BCZYX[where] = per_sample(low + high, view_BCZYX) - view_BCZYX[where]


def _range(views: Views, where: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and the highest value (n,) of the samples ``where``, over all views."""
    low = torch.stack([view[where].amin(dim=(1, 2, 3, 4)) for view in views]).amin(0)
    high = torch.stack([view[where].amax(dim=(1, 2, 3, 4)) for view in views]).amax(0)
    return low, high
