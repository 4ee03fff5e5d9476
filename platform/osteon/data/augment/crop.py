"""Sides cut off or moved outwards, what is left being stretched to the patch again."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import AfterValidator, Field
from torch import Generator

from osteon.core.geometry import Vector3
from osteon.data.augment.resample import affine_field, resample
from osteon.data.augment.transform import Labels, Range, Transform, Views, draw_between


def _leaves_something(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[1] >= 0.5:
        raise ValueError(f"must be below 0.5, or nothing is left between two sides, not {limits[1]}")
    return limits


class CropSpec(Transform):
    """Cropping and padding of every side by a share of its own, then stretching to the former size."""

    share: Annotated[Range, AfterValidator(_leaves_something)] = Field(
        default=(-0.05, 0.1),
        description="What is cut from each side, as a share of the patch along that axis; below 0: what is added there "
        "by repeating the edge.",
    )


def crop(views: Views, labels: Labels, spec: CropSpec, spacing_mm: tuple[Vector3, ...], generator: Generator) -> None:
    """Crop the drawn samples of every view and of its labels, in place; contexts are moved and stretched alike."""
    rows = spec.draw_rows(len(views[0]), generator)
    cut_BDS = draw_between(spec.share, (len(rows), 3, 2), generator)
    if not len(rows):
        return
    spacing_BD = torch.tensor(spacing_mm)
    extent_BD = spacing_BD[rows] * torch.tensor(views[0].shape[2:])
    matrix_BDD = torch.diag_embed(1 - cut_BDS.sum(-1))
    shift_BD = (cut_BDS[..., 0] - cut_BDS[..., 1]) / 2 * extent_BD
    resample(views, labels, rows, spacing_BD, lambda positions: affine_field(positions, matrix_BDD, shift_BD))
