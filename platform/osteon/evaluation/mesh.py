"""A bone's surface as triangles in patient millimetres: closed, smooth, facing outward. Knows masks, no files.

Marching cubes (Lorensen and Cline 1987) sets vertices halfway between voxels inside and outside; the original case
table, unlike later ones, gives every edge exactly two triangles even on noise, because on a mask no face is a tie.
Taubin's filter then takes away the stairs of the voxels: Taubin, "A signal processing approach to fair surface
design", SIGGRAPH 1995, equation 5 and following.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from skimage.measure import marching_cubes

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid

SMOOTHING_STEPS = 20  # a ball's area comes out right within 1 %, its normals mostly within 8 degrees
INWARD, OUTWARD = 0.5, -0.53  # Taubin's λ and μ: every step in is followed by a slightly longer step out
MAX_OFFSET = 0.25  # of a voxel: how far the surface is moved at most to give the volume back

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Mesh:
    """A triangle surface.

    Attributes:
        vertices_mm: (n, 3) patient positions z, y, x (LPS).
        faces: (m, 3) vertex numbers, counter-clockwise seen from outside (in right-handed x, y, z).
    """

    vertices_mm: Floats
    faces: npt.NDArray[np.int32]

    @cached_property
    def face_areas_mm2(self) -> Floats:
        """(m,) area of every triangle."""
        return np.asarray(np.linalg.norm(self._crosses, axis=1) / 2)

    @cached_property
    def vertex_areas_mm2(self) -> Floats:
        """(n,) a third of the triangles around every vertex."""
        return self._gathered(self.face_areas_mm2) / 3

    @cached_property
    def normals(self) -> Floats:
        """(n, 3) outward unit vectors z, y, x at the vertices: the mean of the triangles around, weighted by area."""
        sums = np.column_stack([self._gathered(component) for component in self._crosses.T])
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        return np.asarray(np.divide(sums, lengths, out=np.zeros_like(sums), where=lengths > 0))

    @property
    def area_mm2(self) -> float:
        """The whole surface."""
        return float(self.face_areas_mm2.sum())

    @property
    def volume_mm3(self) -> float:
        """The enclosed volume by the divergence theorem; positive if the triangles face outward."""
        corners = self.vertices_mm[self.faces[:, 0]] - self.vertices_mm.mean(axis=0)
        return float((corners * self._crosses).sum() / 6)

    @property
    def is_watertight(self) -> bool:
        """Whether every edge has exactly two triangles that run along it in opposite directions, and face outward."""
        count = len(self.vertices_mm)
        start, stop = self.faces.ravel().astype(np.int64), np.roll(self.faces, -1, axis=1).ravel().astype(np.int64)
        there, back = np.sort(start * count + stop), np.sort(stop * count + start)
        return bool((there == back).all() and (np.diff(there) > 0).all() and self.volume_mm3 > 0)

    @cached_property
    def _crosses(self) -> Floats:
        """(m, 3) outward vectors z, y, x of twice each triangle's area."""
        a, b, c = self.vertices_mm[self.faces].transpose(1, 0, 2)
        return -np.cross(b - a, c - a)  # z, y, x is left-handed

    def _gathered(self, per_face: Floats) -> Floats:
        return np.asarray(np.bincount(self.faces.ravel(), np.repeat(per_face, 3), len(self.vertices_mm)), np.float64)


def extract_mesh(mask: Mask, grid: Grid) -> Mesh:
    """The closed, smoothed surface of a mask; where the mask ends with its array, the surface is closed there.

    Smoothing keeps the volume: what is left of a difference to that of the voxels is given back by moving the surface
    along its normals, by a quarter of a voxel at most. Structures of one voxel's thickness come out thinner.

    Args:
        mask: z, y, x.
        grid: where its voxels lie; may be oblique.

    Raises:
        BadInput: ``empty-mask``.
    """
    if not mask.any():
        raise BadInput("empty-mask", "a surface needs at least one voxel", remedy="leave labels without voxels out")
    padded = np.pad(mask, 1).astype(np.float32)
    vertices, faces, _, _ = marching_cubes(padded, 0.5, method="lorensen")
    smooth = grid.position_mm(_smooth(vertices.astype(np.float64), faces) - 1)
    mesh = Mesh(smooth, faces.astype(np.int32))
    if mesh.volume_mm3 < 0:  # a mirrored grid
        mesh = Mesh(smooth, np.ascontiguousarray(mesh.faces[:, ::-1]))
    voxels_mm3 = np.count_nonzero(mask) * float(np.prod(grid.spacing_mm))
    return _inflated(mesh, voxels_mm3, MAX_OFFSET * min(grid.spacing_mm))


def _smooth(vertices: Floats, faces: npt.NDArray[np.int32]) -> Floats:
    """Taubin's filter with equal weights of the neighbours; the same in index space and in millimetres."""
    neighbours = _neighbour_means(faces, len(vertices))
    for _ in range(SMOOTHING_STEPS):
        for share in (INWARD, OUTWARD):
            vertices = vertices + share * (neighbours @ vertices - vertices)
    return vertices


def _neighbour_means(faces: npt.NDArray[np.int32], count: int) -> csr_array:
    """(n, n): its product with the vertices is the mean of each vertex's neighbours."""
    start, stop = faces.ravel(), np.roll(faces, -1, axis=1).ravel()  # each edge once in each direction
    degrees = np.bincount(start, minlength=count)
    return csr_array((1 / degrees[start], (start, stop)), shape=(count, count))


def _inflated(mesh: Mesh, volume_mm3: float, limit_mm: float) -> Mesh:
    """The mesh with that volume: moved along its normals by the missing volume over the area."""
    offset_mm = np.clip((volume_mm3 - mesh.volume_mm3) / max(mesh.area_mm2, 1e-9), -limit_mm, limit_mm)
    return Mesh(mesh.vertices_mm + offset_mm * mesh.normals, mesh.faces)
