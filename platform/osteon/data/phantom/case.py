"""One phantom: a skeleton in a body on a table, scanned. The same seed and case give the same voxels everywhere.

Knows nothing of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3, Vector3
from osteon.core.labels import LabelTable, table_for
from osteon.data.phantom import body, organs
from osteon.data.phantom.anatomy import Anatomy, lay_out, skeleton
from osteon.data.phantom.bones import Skeleton, build_skeleton
from osteon.data.phantom.person import Person
from osteon.data.phantom.scanner import Scanner, Table, expose
from osteon.data.phantom.shapes import Block, Field
from osteon.data.phantom.tissue import Canvas, texture

BoneCount = Literal[6, 24, 56]
JOINT_MM = 2.0  # cartilage between two bones


class Phantom(NamedTuple):
    """A scan with its labels.

    Attributes:
        hu: int16, z, y, x.
        labels: ids of the bone table, z, y, x.
        grid: axis-aligned, LPS.
        table: the bones that are labelled.
    """

    hu: npt.NDArray[np.int16]
    labels: npt.NDArray[np.generic]
    grid: Grid
    table: LabelTable


@dataclass(frozen=True)
class FieldOfView:
    """What part of the body a set of bones is scanned in.

    Attributes:
        shape: voxels along z, y, x.
        spacing_mm: of the voxels.
        top: the vertebra below whose upper end the scan begins; the crown of the head if empty.
        names: the bones that are labelled.
        unnamed: bones that are drawn without a label, because they lie in view.
    """

    shape: Index3
    spacing_mm: Vector3
    top: str
    names: tuple[str, ...]
    unnamed: tuple[str, ...] = ()


def _sided(*names: str) -> tuple[str, ...]:
    return tuple(f"{name}_{side}" for name in names for side in ("left", "right"))


def _levels(region: str, first: int, last: int) -> tuple[str, ...]:
    return tuple(f"vertebrae_{region}{number}" for number in range(first, last + 1))


def _ribs(first: int, last: int) -> tuple[str, ...]:
    return tuple(f"rib_{side}_{number}" for side in ("left", "right") for number in range(first, last + 1))


FIELDS_OF_VIEW: dict[int, FieldOfView] = {
    6: FieldOfView((72, 68, 104), (4.0, 4.0, 4.0), "L5", (*_sided("femur", "hip"), "sacrum", "vertebrae_L5")),
    24: FieldOfView(
        (160, 96, 132),
        (3.0, 3.0, 3.0),
        "T11",
        (*_levels("T", 11, 12), *_levels("L", 1, 5), "sacrum", *_sided("hip", "femur"), *_ribs(7, 12)),
    ),
    56: FieldOfView(
        (332, 108, 168),
        (3.0, 3.0, 3.0),
        "",
        (
            *("vertebrae_C7", *_levels("T", 1, 12), *_levels("L", 1, 5), "vertebrae_S1", "sacrum", *_ribs(1, 12)),
            *_sided("clavicula", "scapula", "humerus", "hip", "femur"),
            *("sternum", "skull"),
        ),
        (*_levels("C", 1, 6), "mandible", "hyoid"),
    ),
}


def phantom(
    seed: int,
    bones: int = 6,
    shape: Index3 | None = None,
    spacing_mm: Vector3 | None = None,
    *,
    case: int = 0,
) -> Phantom:
    """Make a phantom.

    Args:
        seed: of the set of phantoms.
        bones: 6 (a pelvis), 24 (abdomen and pelvis) or 56 (head and trunk).
        shape: voxels along z, y, x; by default as many as hold the bones at their default spacing.
        spacing_mm: by default 4 mm for 6 bones and 3 mm for 24 and 56.
        case: number in the set; each has a body and a scanner of its own.

    Raises:
        BadInput: ``phantom-bones`` for another number of bones, ``phantom-seed`` for a negative seed.
    """
    view = field_of_view(bones)
    if seed < 0 or case < 0:
        raise BadInput("phantom-seed", f"the seed {seed} and the case {case} must not be negative")
    person = Person(seed, case)
    anatomy = lay_out(person)
    grid = _grid(anatomy, view, shape, spacing_mm)
    block = Block.whole(grid)
    wanted = {*view.names, *view.unnamed}
    pieces = [piece for piece in skeleton(anatomy, split_sacrum="vertebrae_S1" in wanted) if piece.name in wanted]
    solid = build_skeleton(pieces, block, JOINT_MM)
    canvas = Canvas(block, min(grid.spacing_mm), body.AIR_HU)
    lumps = texture(person.draws("lumps"), block, canvas.voxel_mm, (9.0, 7.0, 7.0))
    _draw_body(canvas, anatomy, lumps)
    _draw_bones(canvas, solid, lumps)
    table = table_for(view.names)
    hu = expose(canvas, Scanner.of(person), person.draws("noise"))
    return Phantom(hu, _label_ids(solid, table), grid, table)


def field_of_view(bones: int) -> FieldOfView:
    """What is scanned for a number of bones."""
    if bones not in FIELDS_OF_VIEW:
        raise BadInput(
            "phantom-bones",
            f"there is no phantom of {bones} bones",
            remedy=f"choose one of {', '.join(map(str, get_args(BoneCount)))}",
        )
    return FIELDS_OF_VIEW[bones]


def _grid(anatomy: Anatomy, view: FieldOfView, shape: Index3 | None, spacing_mm: Vector3 | None) -> Grid:
    """The default field of view hangs from its top; another shape is laid about the same middle."""
    spacing = spacing_mm or view.spacing_mm
    size = shape or view.shape
    if view.top:
        vertebra = anatomy.spine[view.top]
        top = vertebra.frame.at((vertebra.height - 2.0, 0.0, 0.0))[0] - anatomy.person.between("top", 0.0, 8.0)
    else:
        top = anatomy.head.at((142.0, -15.0, 0.0))[0]
    middle_z = top - 0.5 * view.shape[0] * view.spacing_mm[0]
    front = (
        min(anatomy.head.at((-4.0, -134.0, 0.0))[1], 0.0) if not view.top else anatomy.body.at((0.0, -132.0, 0.0))[1]
    )
    middle_y = 0.5 * (front + anatomy.body.at((30.0, 152.0, 0.0))[1])
    middle = (middle_z, middle_y, 0.0)
    first = [round(m - 0.5 * (n - 1) * s) for m, n, s in zip(middle, size, spacing, strict=True)]
    return Grid(size, spacing, (float(first[0]), float(first[1]), float(first[2])))


def _draw_body(canvas: Canvas, anatomy: Anatomy, lumps: Field) -> None:
    depth = body.outline(anatomy, canvas.block)
    septa = texture(anatomy.person.draws("septa"), canvas.block, canvas.voxel_mm, (90.0, 36.0, 36.0))
    fat = body.fat_depth(anatomy, canvas.block, septa)
    table = Table.under(depth - fat, canvas.block)
    table.paint(canvas)
    pressed = np.maximum(depth, fat - table.distance(canvas.block))  # the table flattens the back
    body.flesh(canvas, pressed, fat, lumps, septa)
    organs.fill(canvas, anatomy, lumps)


def _draw_bones(canvas: Canvas, solid: Skeleton, lumps: Field) -> None:
    walls = [part.wall for part in solid.parts]
    cortex_hu = _per_voxel(solid, [wall.cortex_hu for wall in walls])
    core_hu = _per_voxel(solid, [wall.core_hu for wall in walls])
    spongy: Field = core_hu + 0.22 * (core_hu * lumps)
    core = canvas.share(solid.depth + _per_voxel(solid, [wall.cortex_mm for wall in walls]))
    bone_hu: Field = cortex_hu + core * (spongy - cortex_hu)
    canvas.cover(solid.depth, bone_hu)


def _per_voxel(solid: Skeleton, of_part: list[float]) -> Field:
    lookup = np.array([0.0, *of_part], dtype=np.float32)
    return lookup[solid.part]


def _label_ids(solid: Skeleton, table: LabelTable) -> npt.NDArray[np.generic]:
    ids = np.array([0, *(table.ids.get(part.name, 0) for part in solid.parts)], dtype=table.dtype)
    return np.where(solid.depth < 0, ids[solid.part], ids[0])
