"""What is done to a finished label volume: islands too small to be bone are removed. Knows no network."""

from __future__ import annotations

import cc3d
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from osteon.core.geometry import Vector3

Labels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


class PostprocessSpec(BaseModel):
    """What is removed from a label volume."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_island_mm3: float = Field(
        default=0.0, ge=0, description="Islands of a bone that are smaller than this become background; 0 keeps all."
    )


def remove_islands(labels: Labels, spec: PostprocessSpec, spacing_mm: Vector3) -> Labels:
    """Set islands smaller than ``spec.min_island_mm3`` to background, in place; every label on its own.

    Args:
        labels: label ids or class numbers z, y, x; 0 is background.
        spec: the smallest island to keep.
        spacing_mm: voxel size z, y, x.
    """
    threshold = int(np.ceil(spec.min_island_mm3 / float(np.prod(spacing_mm))))
    if threshold > 1:
        cc3d.dust(labels, threshold=threshold, connectivity=26, in_place=True)  # voxels that touch at a corner are one
    return labels
