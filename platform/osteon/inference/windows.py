"""Where windows lie on a grid and how much each voxel of one counts. Knows no image, network or backend.

Positions and weights are those of MONAI's `sliding_window_inference` with Gaussian blending, so that results can be
compared voxel for voxel. All shapes and positions are voxels of the model's grid, z, y, x.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from osteon.core.geometry import Index3

SIGMA_SCALE = 0.125  # standard deviation of the Gaussian over the window's side: nnU-Net's and MONAI's choice
SMALLEST_WEIGHT = 1e-3  # MONAI's floor: no voxel of a window counts for nothing


class StreamSpec(BaseModel):
    """How a scan is cut into windows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window_shape: Index3 = Field(default=(64, 64, 64), description="Voxels of a window on the model's grid, z, y, x.")
    overlap: float = Field(default=0.5, ge=0, lt=1, description="Share of a window that its neighbour covers too.")
    batch_size: int = Field(default=1, ge=1, description="Windows computed at once.")
    mirror: bool = Field(
        default=False,
        description="Average every window with its left-right mirror image, left and right bones changing places; "
        "twice the work.",
    )
    bone_floor_hu: float | None = Field(
        default=150.0,
        description="Windows that serve no zone (chunk of the scan) reaching above this HU are neither read nor "
        "computed; what no window covers is background. Null computes every window.",
    )
    padding_hu: float = Field(default=-1000.0, description="HU around a scan that is smaller than a window; air.")


@dataclass(frozen=True)
class WindowGrid:
    """The windows over one volume.

    Attributes:
        shape: voxels of the volume.
        window_shape: voxels of a window.
        overlap: share of a window that its neighbour covers too.
    """

    shape: Index3
    window_shape: Index3
    overlap: float

    @cached_property
    def padding(self) -> Index3:
        """Voxels added before each axis where the volume is smaller than a window; the rest is added behind."""
        z, y, x = (max(0, side - size) // 2 for size, side in zip(self.shape, self.window_shape, strict=True))
        return (z, y, x)

    @cached_property
    def starts(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
        """First voxels of the windows along z, y, x, growing; negative by `padding` in a padded volume."""
        z, y, x = (
            tuple(start - before for start in _starts(max(size, side), side, self.overlap))
            for size, side, before in zip(self.shape, self.window_shape, self.padding, strict=True)
        )
        return (z, y, x)

    def served(self, axis: int) -> list[tuple[int, int]]:
        """First and one past the last voxel along an axis that each window weighs at least as much as any other does.

        Neighbours part half-way between their middles, so every voxel of the volume is served.
        """
        starts, side = self.starts[axis], self.window_shape[axis]
        firsts = [starts[0], *((a + b + side) // 2 for a, b in itertools.pairwise(starts))]
        stops = [*((a + b + side + 1) // 2 for a, b in itertools.pairwise(starts)), starts[-1] + side]
        return list(zip(firsts, stops, strict=True))

    def rows(self, z_range: tuple[int, int]) -> tuple[int, ...]:
        """First planes of the window rows that cover any plane of ``z_range`` (start, stop)."""
        start, stop = z_range
        return tuple(z for z in self.starts[0] if z < stop and z + self.window_shape[0] > start)

    def row(self, z: int) -> list[Index3]:
        """The windows of the row whose first plane is ``z``, in y, x order."""
        return [(z, y, x) for y, x in itertools.product(self.starts[1], self.starts[2])]


def gaussian_weights(window_shape: Index3) -> Tensor:
    """How much each voxel of a window counts: float32 (Z, Y, X), 1 in the middle, at least `SMALLEST_WEIGHT`.

    The same numbers as MONAI's `compute_importance_map(mode="gaussian", sigma_scale=0.125)`; from Isensee et al.
    2021 (nnU-Net), doi 10.1038/s41592-020-01008-z.
    """
    weights = torch.ones(())
    for side in window_shape:
        offset = torch.arange(-(side - 1) / 2.0, (side - 1) / 2.0 + 1, dtype=torch.float32)
        weights = weights[..., None] * torch.exp(offset**2 / (-2 * (side * SIGMA_SCALE) ** 2))
    return weights.clamp_(min=max(float(weights.min()), SMALLEST_WEIGHT))


def _starts(size: int, side: int, overlap: float) -> list[int]:
    if size == side:
        return [0]
    step = max(1, int(side * (1 - overlap)))
    return [min(start, size - side) for start in range(0, size - side + step, step)]
