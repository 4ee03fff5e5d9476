"""A bone as a list of solids with walls, and many bones put on one grid so that joints stay open between them.

Knows what a bone is made of; which bones there are is said by the modules of the body's regions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Index3
from osteon.data.phantom.shapes import Block, Box, Field, Rod, Shape, smooth_union

FAR_MM = 60.0  # the distance written where no bone is near
MARGIN_MM = 7.0  # how far round a solid its distance is worked out: fillets, joints and a voxel's edge lie within


@dataclass(frozen=True)
class Wall:
    """What bone is made of, from the surface inwards.

    Attributes:
        cortex_mm: thickness of the compact shell.
        cortex_hu: HU of the shell.
        core_hu: HU of what it encloses: trabecular bone, or marrow in a shaft.
    """

    cortex_mm: float
    cortex_hu: float
    core_hu: float


@dataclass(frozen=True)
class Part:
    """One solid of a bone.

    Attributes:
        name: the bone it is labelled as.
        shape: the solid.
        wall: what it is made of.
        carve: whether it is taken away from the parts before it instead of added.
    """

    name: str
    shape: Shape
    wall: Wall
    carve: bool = False


@dataclass(frozen=True)
class Bone:
    """Parts that are one piece of bone (a sacrum may carry two names and stay one piece).

    Attributes:
        parts: in the order in which they are added and carved.
        blend_mm: radius of the fillets between them.
    """

    parts: tuple[Part, ...]
    blend_mm: float = 3.0

    @property
    def name(self) -> str:
        """The name of its first part."""
        return self.parts[0].name

    @property
    def box(self) -> Box:
        """A box that holds the added parts."""
        boxes = [part.shape.box for part in self.parts if not part.carve]
        low = [min(box[0][k] for box in boxes) for k in range(3)]
        high = [max(box[1][k] for box in boxes) for k in range(3)]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def bone(name: str, wall: Wall, shapes: Iterable[Shape], blend_mm: float = 3.0, carved: Iterable[Shape] = ()) -> Bone:
    """A bone of one name and one wall."""
    added = [Part(name, shape, wall) for shape in shapes]
    return Bone((*added, *(Part(name, shape, wall, carve=True) for shape in carved)), blend_mm)


@dataclass(frozen=True)
class Skeleton:
    """Bones on a grid.

    Attributes:
        depth: distance to the nearest bone's surface in mm, negative inside, joints left open; float32 z, y, x.
        part: number of the nearest part plus one, 0 where none is near; uint16 z, y, x.
        parts: the parts by number.
    """

    depth: Field
    part: npt.NDArray[np.uint16]
    parts: tuple[Part, ...]


def build_skeleton(bones: Sequence[Bone], block: Block, joint_mm: float) -> Skeleton:
    """Put bones on a grid; where two meet, a joint space of ``joint_mm`` is kept free between them."""
    nearest = np.full(block.shape, np.float32(FAR_MM))
    second = nearest.copy()
    owner = np.zeros(block.shape, dtype=np.uint16)
    parts: list[Part] = []
    for piece in bones:
        near = block.around(piece.box, MARGIN_MM)
        if near is not None:
            _add(piece, near, len(parts), nearest, second, owner)
        parts += piece.parts
    open_joint = (nearest - second) * 0.5 + joint_mm * 0.5
    return Skeleton(np.maximum(nearest, open_joint), owner, tuple(parts))


def _add(piece: Bone, near: Block, first: int, nearest: Field, second: Field, owner: npt.NDArray[np.uint16]) -> None:
    depth, part = _piece_depth(piece, near, first)
    where = near.where
    best, runner_up, owners = nearest[where], second[where], owner[where]
    wins = depth < best
    np.copyto(runner_up, np.where(wins, best, np.minimum(runner_up, depth)))
    np.copyto(best, depth, where=wins)
    np.copyto(owners, part, where=wins)


def _piece_depth(piece: Bone, near: Block, first: int) -> tuple[Field, npt.NDArray[np.uint16]]:
    """The distance to a bone, and the number plus one of its nearest part, over a block."""
    depth = np.full(near.shape, np.float32(FAR_MM))
    tube, closest = depth.copy(), depth.copy()
    owner = np.zeros(near.shape, dtype=np.uint16)
    for number, part in enumerate(piece.parts, start=first + 1):
        block = near.around(part.shape.box, MARGIN_MM)
        if block is None:
            continue
        where = _relative(block, near.start)
        distance = part.shape.distance(block)
        if part.carve:
            depth = smooth_union(depth, tube, piece.blend_mm)
            tube = np.full(near.shape, np.float32(FAR_MM))
            depth[where] = np.maximum(depth[where], -distance)
            continue
        if not (isinstance(part.shape, Rod) and part.shape.continues):
            depth = smooth_union(depth, tube, piece.blend_mm)
            tube = np.full(near.shape, np.float32(FAR_MM))
        np.minimum(tube[where], distance, out=tube[where])
        wins = distance < closest[where]
        np.copyto(closest[where], distance, where=wins)
        np.copyto(owner[where], np.uint16(number), where=wins)
    return smooth_union(depth, tube, piece.blend_mm), owner


def _relative(block: Block, start: Index3) -> tuple[slice, slice, slice]:
    z, y, x = (slice(a - b, a - b + n) for a, b, n in zip(block.start, start, block.shape, strict=True))
    return (z, y, x)
