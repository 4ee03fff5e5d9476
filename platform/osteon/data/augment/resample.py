"""Sampling views and labels anew through one field of positions, in millimetres from the middle of the patch.

Beyond a view its edge voxels are repeated.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from osteon.data.augment.transform import Labels, Views

Positions = list[Tensor]
"""Per axis z, y, x the millimetres (B, n) of every voxel centre from the middle."""


def resample(
    views: Views, labels: Labels, rows: Tensor, spacing_BD: Tensor, field_of: Callable[[Positions], Tensor]
) -> None:
    """Sample the ``rows`` of every view (trilinear) and of its labels (nearest) where a field says, in place.

    Args:
        views: images, the target first.
        labels: classes of as many views as have them.
        rows: the samples to change, indices (n,).
        spacing_BD: voxel spacing of the target, mm, of all samples.
        field_of: from a view's positions to the millimetres (n, 3, Z, Y, X) from which its voxels take their values.
    """
    where = rows.to(views[0].device)
    for k, view_BCZYX in enumerate(views):
        own_BD = spacing_BD[rows] * 2**k
        grid = _normalised(field_of(positions_of(view_BCZYX, own_BD)), own_BD)
        view_BCZYX[where] = F.grid_sample(view_BCZYX[where], grid, "bilinear", "border", align_corners=False)
        if k < len(labels):
            sampled = F.grid_sample(labels[k][where, None].float(), grid, "nearest", "border", align_corners=False)
            labels[k][where] = sampled[:, 0].to(labels[k].dtype)


def affine_field(positions: Positions, matrix_BDD: Tensor, shift_BD: Tensor) -> Tensor:
    """BDZYX: where a matrix and a shift take every position."""
    z, y, x = positions
    matrix = matrix_BDD.to(z.device)[..., None, None, None]
    field = matrix[:, :, 0] * z[:, None, :, None, None] + shift_BD.to(z.device)[..., None, None, None]
    return field + matrix[:, :, 1] * y[:, None, None, :, None] + matrix[:, :, 2] * x[:, None, None, None, :]


def positions_of(view_BCZYX: Tensor, spacing_BD: Tensor) -> Positions:
    """The positions of a view whose voxels have that spacing, mm."""
    shape = view_BCZYX.shape[2:]
    axes = [(torch.arange(n) - (n - 1) / 2) * spacing_BD[:, d, None] for d, n in enumerate(shape)]
    return [axis.to(view_BCZYX.device) for axis in axes]


def _normalised(field_BDZYX: Tensor, spacing_BD: Tensor) -> Tensor:
    """BZYXD as `grid_sample` wants it: x first, and -1 … 1 from outer face to outer face."""
    extent = spacing_BD * torch.tensor(field_BDZYX.shape[2:]) / 2
    return (field_BDZYX / extent.to(field_BDZYX.device)[..., None, None, None]).flip(1).permute(0, 2, 3, 4, 1)
