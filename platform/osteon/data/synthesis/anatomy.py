"""A labelled body made ready to be drawn many times: what is where, how deep inside, and where the flesh ends.

Made once per label volume; knows no chance, no HU and no scanner.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Vector3
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.data.phantom.shapes import Field
from osteon.data.synthesis.hull import Hull

DEPTH_STEP_MM = 0.25  # of the stored depth: 8 bits reach 64 mm
MAX_DEPTH = 255


@dataclass(frozen=True)
class Anatomy:
    """Structures on an even grid of cubes, turned and placed as in their source.

    Attributes:
        grid: of the cubes, LPS order.
        table: every structure, bones and soft tissue alike.
        bones: names of those that are bones.
        structure: ids of the table, z, y, x; 0 where nothing is labelled.
        depth: uint8, z, y, x: distance to the nearest voxel that is not of the same structure, in `DEPTH_STEP_MM`.
        middle: index of the middle of all structures, z, y, x.
        hull: the flesh round them.
    """

    grid: Grid
    table: LabelTable
    bones: frozenset[str]
    structure: npt.NDArray[np.generic]
    depth: npt.NDArray[np.uint8]
    middle: Vector3
    hull: Hull

    @classmethod
    def of(cls, labels: Array, grid: Grid, table: LabelTable, bones: Collection[str], voxel_mm: float) -> Anatomy:
        """Prepare a label volume.

        Args:
            labels: ids of ``table``, z, y, x, in LPS order.
            grid: where they lie.
            table: names of the ids.
            bones: which of the names are bones; the others are soft tissue.
            voxel_mm: edge of the cubes that it is resampled to, nearest voxel.

        Raises:
            BadInput: ``no-bones``.
        """
        cubes = grid.resampled((voxel_mm, voxel_mm, voxel_mm))
        structure = _nearest(labels, grid, cubes)
        boxes = ndimage.find_objects(structure)
        ids = [table.ids[name] for name in bones]
        if not any(id_ <= len(boxes) and boxes[id_ - 1] for id_ in ids):
            raise BadInput("no-bones", "the labels hold no bone", remedy="check the names in the labels map")
        found = [box for box in boxes if box is not None]
        middle = [0.5 * (min(box[k].start for box in found) + max(box[k].stop for box in found) - 1) for k in range(3)]
        return cls(
            cubes,
            table,
            frozenset(bones),
            structure,
            _depths(structure, boxes, voxel_mm),
            (middle[0], middle[1], middle[2]),
            Hull.round(structure, table, frozenset(bones), voxel_mm),
        )

    @property
    def voxel_mm(self) -> float:
        """Edge of a cube."""
        return self.grid.spacing_mm[0]

    def at(self, z: Field, y: Field, x: Field) -> npt.NDArray[np.int32]:
        """Flat indices of the voxels nearest to fractional indices, beyond the ends the last slice, else the border.

        The border is made sure to be air by `_nearest`, so that nothing is smeared to the sides.
        """
        flat = np.zeros(np.broadcast_shapes(z.shape, y.shape, x.shape), dtype=np.int32)
        for place, size in zip((z, y, x), self.structure.shape, strict=True):
            index = np.clip(np.floor(place + np.float32(0.5)), 0, size - 1).astype(np.int32)
            flat *= np.int32(size)
            flat += index
        return flat


def _nearest(labels: Array, grid: Grid, cubes: Grid) -> npt.NDArray[np.generic]:
    """The labels on another grid of the same field of view; a border of air at the sides."""
    for axis, (count, size) in enumerate(zip(cubes.shape, labels.shape, strict=True)):
        step = cubes.spacing_mm[axis] / grid.spacing_mm[axis]
        index = np.floor((np.arange(count) + 0.5) * step).astype(np.int64)
        labels = np.take(labels, np.clip(index, 0, size - 1), axis=axis)
    labels[:, [0, -1]] = 0
    labels[:, :, [0, -1]] = 0
    return labels


def _depths(
    structure: npt.NDArray[np.generic], boxes: list[tuple[slice, slice, slice] | None], voxel_mm: float
) -> npt.NDArray[np.uint8]:
    """How deep every voxel lies in its structure; where the volume ends, the structure is taken to go on."""
    depth = np.zeros(structure.shape, dtype=np.uint8)
    for id_, box in enumerate(boxes, start=1):
        if box is None:
            continue
        wider = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        inside = structure[wider] == id_
        if not inside.all():
            steps = (ndimage.distance_transform_edt(inside) - 0.5) * (voxel_mm / DEPTH_STEP_MM)
            np.copyto(depth[wider], np.clip(np.rint(steps), 0, MAX_DEPTH).astype(np.uint8), where=inside)
    return depth
