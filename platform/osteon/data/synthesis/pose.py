"""How a body lies in the scanner: turned, stretched, mirrored, and bent by a smooth random field.

The deformation follows SynthSeg (Billot et al., Medical Image Analysis 86, 2023, section 3.1): an affine map, then
displacements drawn on coarse lattices. The ranges are chosen for people on a CT table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteon.core.geometry import Vector3
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Box, Field
from osteon.data.synthesis.anatomy import Anatomy
from osteon.data.synthesis.lattice import Lattice, waves

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
        half = [0.5 * n * anatomy.voxel_mm * s for n, s in zip(anatomy.structure.shape, sizes, strict=True)]
        box = ((-half[0], -half[1], -half[2]), (half[0], half[1], half[2]))
        return cls(rows, _bend(person, box, anatomy.voxel_mm), is_mirrored, box)

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


def _bend(person: Person, box: Box, voxel_mm: float) -> tuple[Lattice, ...]:
    """One displacement field per axis, in voxels: the wide waves are added up at the nodes of the narrowest."""
    fields = []
    for axis in "zyx":
        widths = [(step, spread * person.between(f"bend {step:g}", 0.2, 1.0)) for step, spread in _BENDS_MM]
        parts = [(waves(person.draws(f"bend {step:g} {axis}"), box, step), spread) for step, spread in widths]
        finest = parts[-1][0]
        total = sum(part.at(finest.block) * np.float32(spread / voxel_mm) for part, spread in parts)
        fields.append(Lattice(np.asarray(total, dtype=np.float32), finest.first_mm, finest.step_mm))
    return tuple(fields)
