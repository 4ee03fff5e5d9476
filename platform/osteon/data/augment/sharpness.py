"""Softer images: a smoother reconstruction kernel (blur), local means (average blur), coarser voxels or thicker slices
(low resolution); and sharper ones.

All are linear along each axis, so they are products with small matrices: no padding, any strength per sample.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field, PositiveFloat
from torch import Generator, Tensor

from osteon.core.geometry import Vector3
from osteon.data.augment.transform import (
    Factor,
    Probability,
    Range,
    Transform,
    Views,
    draw_between,
    map_axes,
    per_sample,
)


def _not_below_one(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] < 1:
        raise ValueError(f"must not be below 1, as {limits[0]} is")
    return limits


class BlurSpec(Transform):
    """Gaussian blur."""

    probability: Probability = 0.15
    sigma_mm: Range = Field(default=(0.4, 1.2), description="Deviation of the Gaussian, mm.")


class AverageBlurSpec(Transform):
    """The mean over a cube around every voxel."""

    width_mm: Factor = Field(default=(1.0, 7.0), description="Side of the cube, mm; parts of voxels count in part.")


class SharpenSpec(Transform):
    """Differences from a blurred copy are strengthened (unsharp masking)."""

    strength: Range = Field(default=(0.0, 1.0), description="How many times the differences are added once more.")
    sigma_mm: PositiveFloat = Field(default=1.5, description="Deviation of the copy's Gaussian, mm.")


class LowResolutionSpec(Transform):
    """Averaging into coarser voxels and back by linear interpolation."""

    probability: Probability = 0.15
    factor: Annotated[Range, AfterValidator(_not_below_one)] = Field(
        default=(1.0, 2.0), description="How many times coarser than the patch's voxels; drawn for each axis."
    )


def blur(views: Views, spec: BlurSpec, spacing_mm: tuple[Vector3, ...], generator: Generator) -> None:
    """Blur the drawn samples, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    sigma_B = draw_between(spec.sigma_mm, (len(rows),), generator)
    spacing_BD = torch.tensor(spacing_mm)[rows]
    for k, view_BCZYX in enumerate(views):
        _replace(view_BCZYX, rows, _gaussians(view_BCZYX, sigma_B, spacing_BD * 2**k))


def average_blur(views: Views, spec: AverageBlurSpec, spacing_mm: tuple[Vector3, ...], generator: Generator) -> None:
    """Average the drawn samples, in place; at an edge over the voxels there are."""
    rows = spec.draw_rows(len(views[0]), generator)
    width_B = draw_between(spec.width_mm, (len(rows),), generator)
    spacing_BD = torch.tensor(spacing_mm)[rows]
    for k, view_BCZYX in enumerate(views):
        width_BD = width_B[:, None] / (spacing_BD * 2**k)
        _replace(view_BCZYX, rows, [_boxes(width_BD[:, d], n) for d, n in enumerate(view_BCZYX.shape[2:])])


def sharpen(views: Views, spec: SharpenSpec, spacing_mm: tuple[Vector3, ...], generator: Generator) -> None:
    """Sharpen the drawn samples, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    strength_B = draw_between(spec.strength, (len(rows),), generator)
    sigma_B = torch.full((len(rows),), spec.sigma_mm)
    spacing_BD = torch.tensor(spacing_mm)[rows]
    where = rows.to(views[0].device)
    for k, view_BCZYX in enumerate(views):
        before = view_BCZYX[where]
        _replace(view_BCZYX, rows, _gaussians(view_BCZYX, sigma_B, spacing_BD * 2**k))
        view_BCZYX[where] = before + per_sample(strength_B, before) * (before - view_BCZYX[where])


def lower_resolution(views: Views, spec: LowResolutionSpec, generator: Generator) -> None:
    """Coarsen the drawn samples, in place; contexts only where their own voxels are finer than that."""
    rows = spec.draw_rows(len(views[0]), generator)
    factor_BD = draw_between(spec.factor, (len(rows), 3), generator)
    for k, view_BCZYX in enumerate(views):
        own_BD = (factor_BD / 2**k).clamp(min=1)
        if (own_BD > 1).any():
            weights = [_coarsening(own_BD[:, d], n) for d, n in enumerate(view_BCZYX.shape[2:])]
            _replace(view_BCZYX, rows, weights)


def _replace(view_BCZYX: Tensor, rows: Tensor, weights: list[Tensor]) -> None:
    if len(rows):
        where = rows.to(view_BCZYX.device)
        z, y, x = (weight.to(view_BCZYX.device) for weight in weights)
        view_BCZYX[where] = map_axes(view_BCZYX[where], z, y, x)


def _gaussians(view_BCZYX: Tensor, sigma_B: Tensor, spacing_BD: Tensor) -> list[Tensor]:
    """The blur of ``sigma_B`` millimetres along each axis of a view of that spacing."""
    sigma_BD = sigma_B[:, None] / spacing_BD
    return [_gaussian(sigma_BD[:, d], n) for d, n in enumerate(view_BCZYX.shape[2:])]


def _gaussian(sigma_B: Tensor, size: int) -> Tensor:
    """BZI: rows of a Gaussian of ``sigma_B`` voxels, each summing to 1 over the voxels there are."""
    index = torch.arange(size, dtype=torch.float32)
    squares = (index[:, None] - index) ** 2
    return torch.softmax(-squares / (2 * sigma_B.clamp(min=1e-3)[:, None, None] ** 2), dim=-1)


def _boxes(width_B: Tensor, size: int) -> Tensor:
    """BZI: rows of the overlap of a box ``width_B`` voxels wide with every voxel, summing to 1 over those there are."""
    index = torch.arange(size, dtype=torch.float32)
    distance = (index[:, None] - index).abs()
    overlap_BZI = ((width_B[:, None, None] + 1) / 2 - distance).clamp(min=0, max=1)
    overlap_BZI = torch.minimum(overlap_BZI, width_B[:, None, None])  # a box may be narrower than a voxel
    return overlap_BZI / overlap_BZI.sum(-1, keepdim=True)


def _coarsening(factor_B: Tensor, size: int) -> Tensor:
    """BZI: the mean over bins ``factor_B`` voxels wide, then linear interpolation between the bins' centres."""
    return torch.stack([_through_bins(max(1, round(size / factor)), size) for factor in factor_B.tolist()])


def _through_bins(num_bins: int, size: int) -> Tensor:
    width = size / num_bins
    edges = torch.arange(num_bins)[:, None] * width
    voxels = torch.arange(size)
    overlap = (torch.minimum(edges + width, voxels + 1) - torch.maximum(edges, voxels)).clamp(min=0)
    position = ((voxels + 0.5) / width - 0.5).clamp(0, num_bins - 1)
    spread = (1 - (position[:, None] - torch.arange(num_bins)).abs()).clamp(min=0)
    return spread @ (overlap / width)
