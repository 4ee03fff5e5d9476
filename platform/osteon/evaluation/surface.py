"""Surfaces of all classes of a label array, and the distances between two of them. Knows class numbers, no bones.

A surface voxel of a class is a voxel of it with a face neighbour of another class or outside of the array: the edge
that MONAI's `get_mask_edges` finds by one erosion with the six-neighbour cross. Distances run between the centres of
surface voxels, in millimetres. Where a bone is cut off by the end of the scan, the cut counts as surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from osteon.core.geometry import Index3, Vector3
from osteon.core.volume import Array

LEAF_SIZE = 32  # points per leaf of the search tree; trees are asked only once, so larger leaves pay
PERCENTILE = 0.95  # of HD95


@dataclass(frozen=True)
class Surfaces:
    """The surface voxels of every class of one label array.

    Attributes:
        shape: of the array, z, y, x.
        voxels: flat indices of all surface voxels, ordered by class, then index.
        starts: class k has ``voxels[starts[k]:starts[k + 1]]``; the background (0) has none.
    """

    shape: Index3
    voxels: npt.NDArray[np.intp]
    starts: npt.NDArray[np.intp]

    def of(self, number: int) -> npt.NDArray[np.intp]:
        """Flat indices of the surface voxels of class ``number``, ascending."""
        return self.voxels[self.starts[number] : self.starts[number + 1]]


@dataclass(frozen=True)
class SurfaceScores:
    """How far two surfaces of one class lie apart.

    Attributes:
        hd_mm: Hausdorff distance: the largest distance from a point of one surface to the other surface.
        hd95_mm: the larger of both directions' 95th percentiles (linear interpolation).
        asd_mm: mean distance over the points of both surfaces (average symmetric surface distance).
        surface_dice: share of the points of both surfaces that lie within the tolerance of the other surface.
    """

    hd_mm: float
    hd95_mm: float
    asd_mm: float
    surface_dice: float


def find_surfaces(classes: Array, num_classes: int) -> Surfaces:
    """The surfaces of classes 1 … num_classes - 1 of a z, y, x array of class numbers, in one pass for all."""
    flat = np.flatnonzero(_edges(classes) & (classes != 0))
    numbers = classes.reshape(-1)[flat]
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(num_classes + 1))
    z, y, x = classes.shape
    return Surfaces((z, y, x), flat[order], starts)


def compare_surfaces(
    prediction: Surfaces, reference: Surfaces, number: int, spacing_mm: Vector3, tolerance_mm: float
) -> SurfaceScores:
    """Distances between the two surfaces of class ``number``; both must have voxels of it.

    Sources: Huttenlocher et al. 1993 (Hausdorff); Nikolov et al., arXiv:1809.04430 (surface Dice at a tolerance), here
    counted in surface voxels as `monai.metrics.compute_surface_dice` does.
    """
    predicted, expected = prediction.of(number), reference.of(number)
    there = _distances_mm(predicted, expected, reference.shape, spacing_mm)
    back = _distances_mm(expected, predicted, reference.shape, spacing_mm)
    both = np.concatenate([there, back])
    return SurfaceScores(
        hd_mm=float(both.max()),
        hd95_mm=float(max(np.quantile(there, PERCENTILE), np.quantile(back, PERCENTILE))),
        asd_mm=float(both.mean()),
        surface_dice=float((both <= tolerance_mm).mean()),
    )


def _edges(classes: Array) -> npt.NDArray[np.bool_]:
    edges = np.zeros(classes.shape, dtype=np.bool_)
    for axis in range(3):
        along, edge = np.moveaxis(classes, axis, 0), np.moveaxis(edges, axis, 0)
        changes = along[:-1] != along[1:]
        edge[:-1] |= changes
        edge[1:] |= changes
        edge[0] = edge[-1] = True
    return edges


def _distances_mm(
    points: npt.NDArray[np.intp], surface: npt.NDArray[np.intp], shape: Index3, spacing_mm: Vector3
) -> npt.NDArray[np.float64]:
    """From every point to the nearest voxel of the surface; points on the surface need no search."""
    distances = np.zeros(len(points))
    away = ~np.isin(points, surface, assume_unique=True)
    if away.any():
        tree = cKDTree(
            _positions_mm(surface, shape, spacing_mm), leafsize=LEAF_SIZE, compact_nodes=False, balanced_tree=False
        )
        distances[away] = tree.query(_positions_mm(points[away], shape, spacing_mm))[0]
    return distances


def _positions_mm(flat: npt.NDArray[np.intp], shape: Index3, spacing_mm: Vector3) -> npt.NDArray[np.float64]:
    positions: npt.NDArray[np.float64] = np.stack(np.unravel_index(flat, shape), axis=1) * np.asarray(spacing_mm)
    return positions
