"""Changes of grey value, alike in a target and its contexts: brightness, contrast, gamma, negative, equalisation."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from osteon.data.augment.transform import (
    Factor,
    Probability,
    Range,
    Transform,
    Views,
    draw_between,
    per_sample,
    range_of,
)

LEVELS = 256  # of the histogram that is equalised, as in the 8-bit pictures that this is done to elsewhere


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


class EqualiseSpec(Transform):
    """Grey values spread so that each is about as frequent as any other (histogram equalisation)."""


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
    low, high = range_of(views, where)
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
    low, high = range_of(views, where)
    for view_BCZYX in views:
        view_BCZYX[where] = per_sample(low + high, view_BCZYX) - view_BCZYX[where]


def equalise(views: Views, spec: EqualiseSpec, generator: Generator) -> None:
    """Equalise the histogram, over all views, of the drawn samples, in place; the range of values is kept.

    A value v becomes (N(v) - N(lowest)) / (N - N(lowest)) of the range, where N(v) of the N voxels are not above it:
    the formula of OpenCV's ``equalizeHist``, which imgaug calls. Between the levels of the histogram it is joined by
    lines.
    """
    rows = spec.draw_rows(len(views[0]), generator)
    if not len(rows):
        return
    where = rows.to(views[0].device)
    low, high = (per_sample(values_B, views[0]) for values_B in range_of(views, where))
    step = (high - low).clamp(min=1e-6) / (LEVELS - 1)
    levels = [(view_BCZYX[where] - low) / step for view_BCZYX in views]
    share_BL = _cumulated(torch.stack([_histogram(level_BCZYX) for level_BCZYX in levels]).sum(0))
    for view_BCZYX, level_BCZYX in zip(views, levels, strict=True):
        view_BCZYX[where] = torch.lerp(low, high, _between(share_BL, level_BCZYX))


def _histogram(level_BCZYX: Tensor) -> Tensor:
    """BL: how many voxels of each sample are nearest to each level."""
    nearest_BN = level_BCZYX.round().long().flatten(1)
    first_B = torch.arange(len(nearest_BN), device=nearest_BN.device) * LEVELS
    counts = torch.bincount((nearest_BN + first_B[:, None]).flatten(), minlength=len(nearest_BN) * LEVELS)
    return counts.reshape(-1, LEVELS)


def _cumulated(counts_BL: Tensor) -> Tensor:
    """BL: 0 … 1, the share of the voxels up to each level, those of the lowest left out."""
    up_to_BL = counts_BL.cumsum(1)
    lowest_B1, all_B1 = up_to_BL[:, :1], up_to_BL[:, -1:]
    return (up_to_BL - lowest_B1) / (all_B1 - lowest_B1).clamp(min=1)


def _between(values_BL: Tensor, level_BCZYX: Tensor) -> Tensor:
    """BCZYX: the values at fractions of levels, by linear interpolation."""
    level_BN = level_BCZYX.flatten(1)
    below_BN = level_BN.floor().long().clamp(max=LEVELS - 2)
    found = torch.lerp(values_BL.gather(1, below_BN), values_BL.gather(1, below_BN + 1), level_BN - below_BN)
    return found.reshape(level_BCZYX.shape)
