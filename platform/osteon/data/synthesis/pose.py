"""How a body lies in the scanner: turned, stretched, mirrored, and bent by a smooth random field.

The deformation follows SynthSeg (Billot et al., Medical Image Analysis 86, 2023, section 3.1): an affine map, then
displacements drawn on coarse lattices. Not from there: parts of the body that are long or short against each other. The
ranges are chosen for people on a CT table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from osteon.core.geometry import Vector3
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Box, Field
from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.lattice import Lattice, waves
from osteon.data.synthesis.proportions import Proportions

MIRRORED_SHARE = 0.25  # the heart is seldom on the right: a network may learn where the liver lies
_YAW_DEGREES, _LEAN_DEGREES, _PITCH_DEGREES = 12.0, 8.0, 9.0
_SCALE, _STRETCH = (0.85, 1.2), 0.08
_BENDS_MM = ((150.0, 9.0), (65.0, 3.5), (28.0, 1.0))  # width of the waves, largest standard deviation


@dataclass(frozen=True)
class Pose:
    """From scanner positions to an anatomy's index.

    Attributes:
        rows: three rows (z, y, x, 1): index = rows times position.
        bend: what is added to each index.
        is_mirrored: whether left and right are exchanged.
        box: what the anatomy fills of the scanner, before it is bent.
    """

    rows: tuple[tuple[float, float, float, float], ...]
    bend: tuple[Lattice, ...]
    is_mirrored: bool
    box: Box

    @classmethod
    def of(cls, person: Person, anatomy: Anatomy) -> Pose:
        """Draw the pose of a case; the anatomy's middle comes to lie at the scanner's origin."""
        frame = Frame().yawed(person.about("yaw", _YAW_DEGREES)).leaned(person.about("lean", _LEAN_DEGREES))
        frame = frame.pitched(person.about("pitch", _PITCH_DEGREES))
        is_mirrored = person.draws("mirror").chance(MIRRORED_SHARE)
        size = person.between("size", *_SCALE)
        sizes = [size * (1.0 + person.about(f"stretch {axis}", _STRETCH)) for axis in "zyx"]
        rows = _rows(anatomy, frame, (sizes[0], sizes[1], sizes[2]), is_mirrored)
        own = [n * anatomy.voxel_mm for n in anatomy.structure.shape]
        parts = Proportions.of(person, own[0])
        low, high = (end * sizes[0] for end in parts.ends_mm)
        half_y, half_x = (0.5 * length * size for length, size in zip(own[1:], sizes[1:], strict=True))
        box = ((low, -half_y, -half_x), (high, half_y, half_x))
        axes = [tuple(value / size for value in frame.axes[m::3]) for m, size in enumerate(sizes)]
        return cls(rows, _bend(person, box, anatomy, parts, axes), is_mirrored, box)

    def index(self, block: Block) -> tuple[Field, Field, Field]:
        """Fractional indices of the anatomy at a block's voxel centres."""
        z, y, x = (self._axis(axis, block) for axis in range(3))
        return z, y, x

    def _axis(self, axis: int, block: Block) -> Field:
        a, b, c, start = (np.float32(value) for value in self.rows[axis])
        field = self.bend[axis].at(block)
        field += (a * block.z + start) + b * block.y
        field += c * block.x
        return field


def _rows(
    anatomy: Anatomy, frame: Frame, sizes: Vector3, is_mirrored: bool
) -> tuple[tuple[float, float, float, float], ...]:
    """Turn back, shrink back, mirror, then into the source's own axes: all in one matrix."""
    steps = [1.0 / size for size in sizes]
    steps[2] = -steps[2] if is_mirrored else steps[2]
    turn, axes = frame.axes, anatomy.grid.direction
    rows = []
    for k in range(3):
        columns = [sum(axes[3 * m + k] * steps[m] * turn[3 * j + m] for m in range(3)) for j in range(3)]
        z, y, x = (column / anatomy.voxel_mm for column in columns)
        rows.append((z, y, x, anatomy.middle[k]))
    return tuple(rows)


def _bend(
    person: Person, box: Box, anatomy: Anatomy, parts: Proportions, axes: Sequence[tuple[float, ...]]
) -> tuple[Lattice, ...]:
    """One displacement field per axis, in voxels: wide waves and the body's proportions are added up at the nodes of
    the narrowest waves.

    Args:
        axes: of the body; a place's coordinate along each, in the body's millimetres, is this times its z, y, x.
    """
    fields = []
    for axis, share in zip("zyx", anatomy.grid.direction[:3], strict=True):
        widths = [(step, spread * person.between(f"bend {step:g}", 0.2, 1.0)) for step, spread in _BENDS_MM]
        waving = [(waves(person.draws(f"bend {step:g} {axis}"), box, step), spread) for step, spread in widths]
        finest = waving[-1][0]
        nodes = finest.block
        total = parts.shift(_along(axes[0], nodes), _along(axes[2], nodes)) * np.float32(share / anatomy.voxel_mm)
        total += sum(part.at(nodes) * np.float32(spread / anatomy.voxel_mm) for part, spread in waving)
        fields.append(Lattice(np.asarray(total, dtype=np.float32), finest.first_mm, finest.step_mm))
    return tuple(fields)


def _along(axis: tuple[float, ...], nodes: Block) -> Field:
    z, y, x = (np.float32(part) for part in axis)
    field: Field = z * nodes.z + y * nodes.y + x * nodes.x
    return field
