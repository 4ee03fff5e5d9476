"""What is derived from a scan: the chain of each derived case and the labels it keeps. Pure numbers, no voxel.

Femurs follow Saillard 2023, section 2.2: a scan with two femurs becomes two volumes of a right femur each, in one
orientation and one resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from osteon.core.chain import Chain, Crop, Mirror, Resample, Rotate
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Vector3
from osteon.core.labels import BONES, LabelTable, table_for
from osteon.core.volume import Volume
from osteon.data.prepare.find import Guide, Spot, find_bone, find_bones, find_bright, upright_rotation
from osteon.data.prepare.spec import PrepareSpec

Side = Literal["left", "right"]
Kept = dict[int, int]

LEFT, RIGHT = BONES.ids["femur_left"], BONES.ids["femur_right"]


@dataclass(frozen=True)
class Preparation:
    """One derived case of a scan.

    Attributes:
        suffix: what its id adds to the scan's.
        chain: from the scan to it.
        grid: its voxels.
        kept: its label id by the scan's, of the labels that are kept; None keeps all as they are.
    """

    suffix: str
    chain: Chain
    grid: Grid
    kept: Kept | None


def plan_scan(levels: Sequence[Volume], guide: Guide | None, spec: PrepareSpec) -> tuple[Preparation, ...]:
    """What a spec derives from a scan: one case, or one per femur.

    Args:
        levels: the scan's pyramid in HU, level 0 first; at least that.
        guide: labels that show where the bones are, if the spec has to find some.
        spec: what is asked for.

    Raises:
        BadInput: ``no-guide``, and what cannot be found: ``no-femur``, ``swapped-femurs``, ``no-shaft``, ``no-bone``,
            ``nothing-bright``, ``outside-scan``.
    """
    source = levels[0].grid
    if spec.femurs:
        return _femurs(source, _needed(guide), spec)
    chain = Chain()
    if spec.crop_bones:
        chain = chain.then(Crop(*find_bones(_needed(guide), spec.crop_bones).box(source, spec.margin_mm)))
    if spec.crop_above_hu is not None:
        chain = chain.then(Crop(*find_bright(levels, spec.crop_above_hu).box(source, spec.margin_mm)))
    return (_finished("", chain, source, spec, None),)


def prepared_table(table: LabelTable, spec: PrepareSpec) -> LabelTable:
    """The labels that cases derived from cases of ``table`` may hold."""
    return table_for(["femur_right"]) if spec.femurs else table


def _needed(guide: Guide | None) -> Guide:
    if guide is None:
        what = "the bones have to be found first, and the scan has no labels"
        raise BadInput("no-guide", what, remedy="give a rough segmentation with --labels-from")
    return guide


def _femurs(source: Grid, guide: Guide, spec: PrepareSpec) -> tuple[Preparation, ...]:
    left, right = find_bone(guide, "femur_left"), find_bone(guide, "femur_right")
    if left is None and right is None:
        remedy = "give labels that hold them with --labels-from"
        raise BadInput("no-femur", "the labels hold neither femur_left nor femur_right", remedy=remedy)
    if left and right and left.centre_mm[2] <= right.centre_mm[2]:
        places = f"femur_left at x = {left.centre_mm[2]:.0f} mm, femur_right at {right.centre_mm[2]:.0f} mm"
        what = f"{places}, and patient x grows to the left"
        raise BadInput("swapped-femurs", what, remedy="mend the labels, or the scan's orientation")
    found: list[tuple[Side, Spot | None]] = [("left", left), ("right", right)]
    return tuple(_femur(side, spot, source, spec) for side, spot in found if spot is not None)


def _femur(side: Side, spot: Spot, source: Grid, spec: PrepareSpec) -> Preparation:
    mirror = (Mirror(),) if side == "left" else ()
    kept = {LEFT if side == "left" else RIGHT: RIGHT}
    if not spec.align_shaft:
        chain = Chain((Crop(*spot.box(source, spec.margin_mm)), *mirror))
        return _finished(f"-{side}", chain, source, spec, kept)
    mirrored = _moved(spot, Chain(mirror))
    turned = Chain((*mirror, Rotate(upright_rotation(mirrored), mirrored.centre_mm)))
    upright = _upright(_moved(spot, turned), spec.spacing_mm or source.spacing_mm, spec.margin_mm)
    return _finished(f"-{side}", turned.then(Resample(upright)), source, spec, kept)


def _moved(spot: Spot, chain: Chain) -> Spot:
    affine = chain.affine
    return Spot(spot.points_mm @ affine[:3, :3].T + affine[:3, 3], spot.reach_mm)


def _upright(spot: Spot, spacing_mm: Vector3, margin_mm: float) -> Grid:
    """Voxels along the patient's axes that hold the spot and a margin."""
    spare = margin_mm + spot.reach_mm
    low, high = spot.points_mm.min(axis=0) - spare, spot.points_mm.max(axis=0) + spare
    z, y, x = (int(count) for count in np.ceil((high - low) / np.asarray(spacing_mm)))
    return Grid((z, y, x), spacing_mm, _vector(low + np.asarray(spacing_mm) / 2))


def _finished(suffix: str, chain: Chain, source: Grid, spec: PrepareSpec, kept: Kept | None) -> Preparation:
    """The preparation with the resampling that is still to come."""
    grid = chain.grid_of(source)
    wanted = grid if spec.spacing_mm is None else grid.resampled(spec.spacing_mm)
    if spec.plane_shape is not None:
        sides = zip(wanted.shape[1:], wanted.spacing_mm[1:], spec.plane_shape, strict=True)
        height_mm, width_mm = (count * own / resized for count, own, resized in sides)
        wanted = wanted.resampled((wanted.spacing_mm[0], height_mm, width_mm))
    if not wanted.matches(grid):
        chain = chain.then(Resample(wanted))
    return Preparation(suffix, chain, chain.grid_of(source), kept)


def _vector(values: npt.NDArray[np.float64]) -> Vector3:
    z, y, x = (float(value) for value in values)
    return z, y, x
