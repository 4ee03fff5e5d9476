"""Voxels lost, one by one or in lumps."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Generator, Tensor

from osteon.core.geometry import Vector3
from osteon.data.augment.resample import Positions, positions_of
from osteon.data.augment.transform import Factor, Share, Transform, Views, draw_between, per_sample

_PRIMES = (73856093, 19349663, 83492791)  # of the spatial hash of Teschner et al. 2003
_MASK = 2**32 - 1


class DropoutSpec(Transform):
    """Cubes in which every voxel gets the target's lowest value."""

    share: Share = Field(default=(0.0, 0.1), description="Share of the cubes that are lost.")
    hole_mm: Factor = Field(
        default=(1.0, 20.0), description="Side of a cube, mm; of a voxel's size or less: single voxels."
    )


def drop(views: Views, spec: DropoutSpec, spacing_mm: tuple[Vector3, ...], generator: Generator) -> None:
    """Make holes in the drawn samples, in place; the same places in every view."""
    rows = spec.draw_rows(len(views[0]), generator)
    share_B = draw_between(spec.share, (len(rows),), generator)
    hole_B = draw_between(spec.hole_mm, (len(rows),), generator)
    seed_B = torch.randint(2**31, (len(rows),), generator=generator)
    if not len(rows):
        return
    where = rows.to(views[0].device)
    lowest_B = views[0][where].amin(dim=(1, 2, 3, 4))
    for k, view_BCZYX in enumerate(views):
        positions = positions_of(view_BCZYX, torch.tensor(spacing_mm)[rows] * 2**k)
        cells = [(axis / hole_B[:, None].to(axis.device)).floor().long() for axis in positions]
        lost_BZYX = _chance(cells, seed_B.to(where.device)) < per_sample(share_B, view_BCZYX)[:, 0]
        view_BCZYX[where] = torch.where(lost_BZYX[:, None], per_sample(lowest_B, view_BCZYX), view_BCZYX[where])


def _chance(cells: Positions, seed_B: Tensor) -> Tensor:
    """BZYX: an even draw from 0 … 1 for every cell, a hash of its numbers: the same in every view and on any device."""
    z, y, x = (axis * prime for axis, prime in zip(cells, _PRIMES, strict=True))
    mixed = z[:, :, None, None] ^ y[:, None, :, None] ^ x[:, None, None] ^ seed_B[:, None, None, None]
    mixed &= _MASK
    for _ in range(2):  # Mueller's integer hash
        mixed = ((mixed ^ (mixed >> 16)) * 0x45D9F3B) & _MASK
    return (mixed ^ (mixed >> 16)).double() / 2**32
