"""How thick the cortex is at every point of a bone's surface. Knows meshes and densities; no bones, no files.

Definition: from a point of the periosteal surface a ray runs inward along the surface's normal; the thickness is the
length of its first stretch on which the density reaches a level. Where the ray enters and leaves is found by linear
interpolation, so a fraction of a voxel counts. This is the profile method with a fixed threshold: Prevrhal et al.,
"Accuracy limits for the determination of cortical width and density", Phys. Med. Biol. 44 (1999) 751. As they show, a
cortex thinner than the scanner's resolution (about 2 mm in clinical CT) comes out too thick; no threshold mends that.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import map_coordinates

from osteon.core.geometry import Grid
from osteon.evaluation.mesh import Floats, Mask, Mesh

STEPS_PER_VOXEL = 4  # samples along a ray, counted in the smallest voxel side
MAX_THICKNESS_MM = 15.0  # beyond any cortex of the skeleton: a longer stretch is a solid bone
MAX_DEPTH_MM = 2.0  # of the stretch's beginning: what begins deeper is a trabecula or the other wall
RAYS_AT_A_TIME = 1 << 14  # bounds the samples held to some tens of megabytes


def cortical_thickness(mesh: Mesh, density: npt.NDArray[np.generic], level: float, bone: Mask, grid: Grid) -> Floats:
    """Thickness in mm at every vertex; NaN where there is no cortex, or no endosteal side to it.

    Args:
        mesh: the periosteal surface, or one that holds it: the walls of a cavity get NaN.
        density: z, y, x: HU, or 1 in the cortex and 0 elsewhere.
        level: density from which on it is cortex.
        bone: z, y, x: cortex and what it encloses. A stretch that ends outside of it has passed through the bone.
        grid: of both arrays.
    """
    thickness = np.empty(len(mesh.vertices_mm))
    values, inside = density.astype(np.float32), bone.astype(np.float32)
    for start in range(0, len(thickness), RAYS_AT_A_TIME):
        part = slice(start, start + RAYS_AT_A_TIME)
        rays = _Rays(mesh.vertices_mm[part], -mesh.normals[part], grid)
        thickness[part] = rays.stretch(values, level, inside)
    return thickness


class _Rays:
    """Rays from points (n, 3) in directions (n, 3), sampled from a voxel before the point to the largest thickness."""

    def __init__(self, points_mm: Floats, directions: Floats, grid: Grid) -> None:
        voxel_mm = min(grid.spacing_mm)
        self.step_mm = voxel_mm / STEPS_PER_VOXEL
        count = STEPS_PER_VOXEL + 1 + int(np.ceil((MAX_DEPTH_MM + MAX_THICKNESS_MM) / self.step_mm))
        self.depths_mm: Floats = np.linspace(-voxel_mm, (count - 1) * self.step_mm - voxel_mm, count)
        self.points, self.directions, self.grid = points_mm, directions, grid

    def stretch(self, density: npt.NDArray[np.float32], level: float, inside: npt.NDArray[np.float32]) -> Floats:
        """Length of each ray's first stretch at or above the level; NaN where it is not the cortex of the bone."""
        profile = self._sample(density, self.depths_mm)
        above = profile >= level
        touching = above[:, 0].copy()  # dense before the bone begins, a neighbour: this one begins at its surface
        above[touching, :STEPS_PER_VOXEL] = False
        first = above.argmax(axis=1)
        ended = ~above & (np.arange(above.shape[1]) > first[:, None])
        last = ended.argmax(axis=1)
        begin = np.where(touching & (first == STEPS_PER_VOXEL), 0.0, self._crossing(profile, first, level))
        end = self._crossing(profile, last, level)
        beyond = self._sample(inside, (end + self.step_mm)[:, None])[:, 0] >= 0.5
        length = end - begin
        found = above.any(axis=1) & ended.any(axis=1) & (begin <= MAX_DEPTH_MM) & (length <= MAX_THICKNESS_MM)
        return np.where(found & beyond, length, np.nan)

    def _crossing(self, profile: npt.NDArray[np.float32], index: npt.NDArray[np.intp], level: float) -> Floats:
        """The depth between the sample ``index`` and the one before at which a straight line meets the level."""
        rows, index = np.arange(len(profile)), np.maximum(index, 1)
        before, after = profile[rows, index - 1].astype(np.float64), profile[rows, index].astype(np.float64)
        rise = np.where(after != before, after - before, 1.0)
        share = np.clip((level - before) / rise, 0, 1)
        return np.asarray(self.depths_mm[index - 1] + share * self.step_mm)

    def _sample(self, values: npt.NDArray[np.float32], depths_mm: Floats) -> npt.NDArray[np.float32]:
        """(n, k) at depths (k,) or (n, k) by trilinear interpolation; beyond the array the nearest voxel counts."""
        index = self.grid.index_of(self.points[:, None] + self.directions[:, None] * depths_mm[..., None])
        return np.asarray(map_coordinates(values, np.moveaxis(index, -1, 0), order=1, mode="nearest"))
