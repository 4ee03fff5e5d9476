"""Slices as if seen aslant: what lies to one side is magnified, what lies to the other is shrunk.

A four-point transformation of the plane is an affine one and two terms of perspective; the affine part is
`AffineSpec`'s, these are the two others.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from osteon.core.geometry import Vector3
from osteon.data.augment.resample import Positions, resample
from osteon.data.augment.transform import Labels, Transform, Views, draw_between


class PerspectiveSpec(Transform):
    """Perspective within axial slices."""

    strength: float = Field(
        default=0.1,
        gt=0,
        lt=0.5,
        description="Largest change of the magnification from the middle to the edge of the widest view, either way, "
        "along y and along x.",
    )


def tilt(
    views: Views, labels: Labels, spec: PerspectiveSpec, spacing_mm: tuple[Vector3, ...], generator: Generator
) -> None:
    """Tilt the drawn samples of every view and of its labels, in place."""
    rows = spec.draw_rows(len(views[0]), generator)
    change_BD = draw_between((-spec.strength, spec.strength), (len(rows), 2), generator)
    if not len(rows):
        return
    spacing_BD = torch.tensor(spacing_mm)
    reach_BD = spacing_BD[rows, 1:] * torch.tensor(views[0].shape[3:]) * 2 ** (len(views) - 1) / 2
    resample(views, labels, rows, spacing_BD, lambda positions: _aslant(positions, change_BD / reach_BD))


def _aslant(positions: Positions, slope_BD: Tensor) -> Tensor:
    """BDZYX: the projective field; its denominator stays above 0, for ``strength`` is below a half for each axis."""
    z, y, x = positions
    slope = slope_BD.to(y.device)
    down_BYX, across_BYX = y[:, :, None].expand(-1, -1, x.shape[1]), x[:, None].expand(-1, y.shape[1], -1)
    distance_BYX = 1 + slope[:, :1, None] * down_BYX + slope[:, 1:, None] * across_BYX
    plane = (len(z), z.shape[1], y.shape[1], x.shape[1])
    in_plane = [(axis_BYX / distance_BYX)[:, None].expand(plane) for axis_BYX in (down_BYX, across_BYX)]
    return torch.stack([z[:, :, None, None].expand(plane), *in_plane], dim=1)
