"""Every voxel as the median of those around it: what is thin goes, edges stay."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from osteon.core.geometry import Vector3
from osteon.data.augment.transform import Factor, Transform, Views, draw_between


class MedianBlurSpec(Transform):
    """Median blur within axial slices."""

    width_mm: Factor = Field(
        default=(1.0, 7.0), description="Side of the square that the median is taken over, mm; an odd number of voxels."
    )


def median_blur(views: Views, spec: MedianBlurSpec, spacing_mm: tuple[Vector3, ...], generator: Generator) -> None:
    """Take the median in the drawn samples, in place; beyond a slice its edge voxels are repeated."""
    rows = spec.draw_rows(len(views[0]), generator)
    width_B = draw_between(spec.width_mm, (len(rows),), generator)
    if not len(rows):
        return
    spacing_BD = torch.tensor(spacing_mm)[rows, 1:]
    for k, view_BCZYX in enumerate(views):
        reach_BD = ((width_B[:, None] / (spacing_BD * 2**k) - 1) / 2).round().clamp(min=0).long()
        for reach_D in reach_BD.unique(dim=0):
            where = rows[(reach_BD == reach_D).all(dim=1)].to(view_BCZYX.device)
            view_BCZYX[where] = _median(view_BCZYX[where], *reach_D.tolist())


def _median(block_BCZYX: Tensor, down: int, across: int) -> Tensor:
    """Over the ``down`` voxels to either side along y and the ``across`` ones along x."""
    slices_N1YX = block_BCZYX.flatten(0, 2)[:, None]
    padded = F.pad(slices_N1YX, (across, across, down, down), mode="replicate")
    around = F.unfold(padded, (2 * down + 1, 2 * across + 1))
    return around.median(dim=1).values.reshape(block_BCZYX.shape)
