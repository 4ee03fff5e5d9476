"""What can be measured on a label volume, bone by bone. Knows label arrays, grids and HU; no files, no networks.

Each bone is measured in its own bounding box, one after the other: besides the volume itself, memory is that of the
largest bone. Definitions and their limits: docs/how-to/measure.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_fill_holes, find_objects

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import BONES, Label, LabelTable
from osteon.core.volume import Array
from osteon.evaluation.measures import BoneMeasures, CortexMeasures, HuMeasures
from osteon.evaluation.mesh import Floats, Mask, Mesh, extract_mesh
from osteon.evaluation.thickness import cortical_thickness

MARGIN = 2  # voxels around a bone's bounding box: what a ray sees before it reaches the bone


@dataclass(frozen=True)
class MeasuredBone:
    """One bone.

    Attributes:
        measures: the numbers.
        mesh: its surface.
        thickness_mm: of the cortex, at every vertex of the mesh (NaN where undefined); None if it was not measured.
    """

    measures: BoneMeasures
    mesh: Mesh
    thickness_mm: Floats | None


def present_bones(labels: Array, table: LabelTable) -> LabelTable:
    """The bones of ``table`` with at least one voxel in ``labels``."""
    return table.subset(id_ for id_, box in enumerate(find_objects(labels), start=1) if box is not None)


def measure_bones(
    labels: Array, grid: Grid, table: LabelTable, *, hu: Array | None = None, cortex_hu: float | None = None
) -> Iterator[MeasuredBone]:
    """Measure every bone of ``table`` that occurs in ``labels``, in order of id.

    The cortex is measured for labels called ``cortical`` or ``<bone>_cortical``, against what they enclose; with
    ``cortex_hu`` also for every bone of `BONES`, as the voxels from that HU on.

    Args:
        labels: label ids z, y, x.
        grid: where the voxels lie.
        table: the bones to measure; other ids are left out.
        hu: the scan on the same grid.
        cortex_hu: HU from which on bone counts as cortical; needs ``hu``.

    Raises:
        BadInput: ``grid-mismatch`` if an array is not of the grid's shape; ``no-image``: ``cortex_hu`` without ``hu``.
    """
    _check(labels, grid, hu, cortex_hu)
    boxes = find_objects(labels)
    return (
        _Bone(label, boxes[label.id - 1], labels, grid, table, hu).measured(cortex_hu)
        for label in table.labels
        if label.id <= len(boxes) and boxes[label.id - 1] is not None
    )


class _Bone:
    """One label, cut out of the volume with a margin."""

    def __init__(
        self,
        label: Label,
        box: tuple[slice, slice, slice],
        labels: Array,
        grid: Grid,
        table: LabelTable,
        hu: Array | None,
    ) -> None:
        start = [max(0, side.start - MARGIN) for side in box]
        stop = [min(size, side.stop + MARGIN) for side, size in zip(box, labels.shape, strict=True)]
        where = tuple(slice(first, last) for first, last in zip(start, stop, strict=True))
        self.label, self.whole, self.table = label, grid, table
        self.labels = labels[where]
        self.mask: Mask = self.labels == label.id
        self.hu = hu[where] if hu is not None else None
        z, y, x = start
        depth, height, width = self.labels.shape
        self.grid = grid.crop((z, y, x), (depth, height, width))
        self.is_cut_off = any(
            side.start == 0 or side.stop == size for side, size in zip(box, labels.shape, strict=True)
        )

    def measured(self, cortex_hu: float | None) -> MeasuredBone:
        mesh = extract_mesh(self.mask, self.grid)
        thickness = self._thickness(mesh, cortex_hu)
        voxels = int(np.count_nonzero(self.mask))
        centre = self.grid.position_mm(np.mean(np.nonzero(self.mask), axis=1))
        low, high = mesh.vertices_mm.min(axis=0), mesh.vertices_mm.max(axis=0)
        measures = BoneMeasures(
            id=self.label.id,
            name=self.label.name,
            voxels=voxels,
            volume_mm3=voxels * float(np.prod(self.grid.spacing_mm)),
            surface_mm2=mesh.area_mm2,
            centroid_mm=tuple(centre.tolist()),
            box_min_mm=tuple(low.tolist()),
            box_max_mm=tuple(high.tolist()),
            is_cut_off=self.is_cut_off,
            is_watertight=mesh.is_watertight,
            hu=HuMeasures.of(self.hu[self.mask]) if self.hu is not None else None,
            cortex=CortexMeasures.of(thickness, mesh.vertex_areas_mm2) if thickness is not None else None,
        )
        return MeasuredBone(measures, mesh, thickness)

    def _thickness(self, mesh: Mesh, cortex_hu: float | None) -> Floats | None:
        """At every vertex, if there is a cortex to measure; where the scan's end cuts the bone is no surface of it."""
        if (enclosed := self._enclosed()) is not None:
            thickness = cortical_thickness(mesh, self.mask, 0.5, enclosed, self.grid)
        elif cortex_hu is not None and self.hu is not None and self.label.name in BONES.ids:
            thickness = cortical_thickness(mesh, self.hu, cortex_hu, self.mask, self.grid)
        else:
            return None
        index = self.whole.index_of(mesh.vertices_mm)
        cut = ((index < 0) | (index > np.asarray(self.whole.shape) - 1)).any(axis=1)
        return np.where(cut, np.nan, thickness)

    def _enclosed(self) -> Mask | None:
        """A cortical label with its trabecular one and all that both enclose; None for other labels."""
        if not (name := re.fullmatch(r"(.+_)?cortical", self.label.name)):
            return None
        inside = self.table.ids.get(f"{name.group(1) or ''}trabecular")
        return np.asarray(binary_fill_holes(self.mask | (self.labels == inside) if inside else self.mask), np.bool_)


def _check(labels: Array, grid: Grid, hu: Array | None, cortex_hu: float | None) -> None:
    for name, array in (("label", labels), ("image", hu)):
        if array is not None and array.shape != grid.shape:
            what = f"the {name} volume has shape {array.shape}, its grid {grid.shape}"
            raise BadInput("grid-mismatch", what, remedy="resample both onto one grid")
    if cortex_hu is not None and hu is None:
        remedy = "give the scan, too"
        raise BadInput("no-image", f"a cortex from {cortex_hu:g} HU on cannot be found without HU", remedy=remedy)
