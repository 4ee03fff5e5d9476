"""Where bones lie in a scan: boxes around them, and the axis of a long one.

Everything is found on the pyramid level next to 3 mm, held whole: memory does not grow with the scan's resolution, and
single bright voxels and islands of a rough segmentation do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cc3d
import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3, Matrix9, Vector3
from osteon.core.labels import LabelTable, canonical_name
from osteon.core.volume import Volume
from osteon.data.prepare.sample import level_for_hu, level_for_labels

COARSE_MM = (3.0, 3.0, 3.0)
PIECE_SHARE = 0.1  # of the largest piece of a bone: smaller ones are islands; a broken or cut bone has larger ones
LONG = 2.0  # how many times the variance along a long bone's axis exceeds that across

Points = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Guide:
    """Labels that say where bones are; they need not lie on the scan's grid.

    Attributes:
        levels: the labels' pyramid, level 0 first; at least that.
        table: names of the labels.
    """

    levels: Sequence[Volume]
    table: LabelTable


@dataclass(frozen=True)
class Spot:
    """Voxels that were found.

    Attributes:
        points_mm: patient positions (n, 3) of their centres, z, y, x.
        reach_mm: how far bone may reach beyond them: the voxels are coarse.
    """

    points_mm: Points
    reach_mm: float

    @property
    def centre_mm(self) -> Vector3:
        """The mean of the voxels."""
        z, y, x = (float(value) for value in self.points_mm.mean(axis=0))
        return z, y, x

    def box(self, grid: Grid, margin_mm: float) -> tuple[Index3, Index3]:
        """Start and shape of the smallest block of ``grid`` that holds the voxels and a margin, cut to the grid.

        Raises:
            BadInput: ``outside-scan``: none of them lies in the grid.
        """
        places = grid.index_of(self.points_mm)
        spare = (margin_mm + self.reach_mm) / np.asarray(grid.spacing_mm)
        first = np.clip(np.floor(places.min(axis=0) - spare), 0, None).astype(int)
        last = np.minimum(np.ceil(places.max(axis=0) + spare), np.asarray(grid.shape) - 1).astype(int)
        if (last < first).any():
            raise BadInput("outside-scan", "the bones lie outside the scan", remedy="give the labels of this scan")
        (z, y, x), (depth, height, width) = first.tolist(), (last - first + 1).tolist()
        return (z, y, x), (depth, height, width)


def find_bright(levels: Sequence[Volume], above_hu: float) -> Spot:
    """What is brighter than ``above_hu`` in a scan's pyramid (HU, level 0 first).

    Raises:
        BadInput: ``nothing-bright``.
    """
    volume = level_for_hu(levels, COARSE_MM)
    spot = _spot(np.greater(_read(volume), above_hu), volume.grid)
    if spot is None:
        remedy = "lower prepare.crop_above_hu"
        raise BadInput("nothing-bright", f"nothing in the scan is brighter than {above_hu:g} HU", remedy=remedy)
    return spot


def find_bones(guide: Guide, names: Sequence[str]) -> Spot:
    """All voxels of the named bones, as far as the labels hold them.

    Raises:
        BadInput: ``no-bone``: the labels hold none of them.
    """
    volume = level_for_labels(guide.levels, COARSE_MM)
    ids = [guide.table.ids[name] for name in map(canonical_name, names) if name in guide.table.ids]
    spot = _spot(np.isin(_read(volume), ids), volume.grid)
    if spot is None:
        remedy = "give labels that hold them with --labels-from"
        raise BadInput("no-bone", f"the labels hold no {', '.join(names)}", remedy=remedy)
    return spot


def find_bone(guide: Guide, name: str) -> Spot | None:
    """The voxels of one bone without its islands; None if the labels do not hold it."""
    volume = level_for_labels(guide.levels, COARSE_MM)
    pieces, count = cc3d.connected_components(
        _read(volume) == guide.table.ids.get(name, -1), connectivity=26, return_N=True
    )
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)
    sizes[0] = 0
    return _spot((sizes >= PIECE_SHARE * sizes.max())[pieces] & (pieces > 0), volume.grid)


def upright_rotation(spot: Spot) -> Matrix9:
    """The smallest rotation that turns the bone's longest axis to patient z.

    The axis is the first principal component of the voxels' positions.

    Raises:
        BadInput: ``no-shaft``: no axis is longest, the scan shows too little of the bone.
    """
    variances, axes = np.linalg.eigh(np.cov(spot.points_mm.T))
    if variances[2] < LONG * variances[1]:
        what = f"the bone is only {np.sqrt(variances[2] / max(variances[1], 1e-9)):.1f} times as long as wide"
        raise BadInput("no-shaft", what, remedy="set prepare.align_shaft=false for scans that cut the bone")
    axis = axes[:, 2] * np.copysign(1.0, axes[0, 2])
    up = np.array([1.0, 0.0, 0.0])
    turn = np.outer(up, axis) - np.outer(axis, up)
    rotation = np.eye(3) + turn + turn @ turn / (1 + axis[0])  # Rodrigues, written without the angle
    a, b, c, d, e, f, g, h, i = rotation.ravel().tolist()
    return a, b, c, d, e, f, g, h, i


def _read(volume: Volume) -> npt.NDArray[np.generic]:
    return volume.read((0, 0, 0), volume.grid.shape).result()


def _spot(mask: npt.NDArray[np.bool_], grid: Grid) -> Spot | None:
    if not mask.any():
        return None
    return Spot(grid.position_mm(np.argwhere(mask)), max(grid.spacing_mm) / 2)
