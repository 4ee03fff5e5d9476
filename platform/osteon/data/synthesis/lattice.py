"""Smooth fields: values at the nodes of a coarse lattice in the scanner, linear in between.

They may be asked for anywhere, so that a scan can be drawn slab by slab. Only IEEE arithmetic, as in the phantom: the
same bits on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Vector3
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.shapes import Block, Box, Field


@dataclass(frozen=True)
class Lattice:
    """A field given at evenly spaced nodes; beyond the outermost ones it stays as it is there.

    Attributes:
        values: float32 at the nodes, z, y, x.
        first_mm: scanner position of node (0, 0, 0).
        step_mm: distance of neighbouring nodes along each axis.
    """

    values: Field
    first_mm: Vector3
    step_mm: float

    @property
    def block(self) -> Block:
        """The nodes as a block."""
        return Block.whole(_nodes(self.values.shape, self.first_mm, self.step_mm))

    def at(self, block: Block) -> Field:
        """The field at a block's voxel centres, float32, z, y, x."""
        field = self.values
        for axis, (places, first) in enumerate(zip((block.z, block.y, block.x), self.first_mm, strict=True)):
            field = _along(field, axis, (places.ravel() - np.float32(first)) / np.float32(self.step_mm))
        return field


def blank(box: Box, step_mm: float) -> Lattice:
    """A lattice of zeros whose nodes span a box."""
    shape = [int((high - low) / step_mm) + 2 for low, high in zip(*box, strict=True)]
    return Lattice(np.zeros(shape, dtype=np.float32), box[0], step_mm)


def waves(draws: Draws, box: Box, step_mm: float) -> Lattice:
    """White noise of mean 0 and standard deviation 1 at nodes that span a box: lumps about ``step_mm`` wide."""
    nodes = blank(box, step_mm)
    z, y, x = nodes.values.shape
    return Lattice(draws.grain((z, y, x)).astype(np.float32) * np.float32(0.25), box[0], step_mm)


def _nodes(shape: Sequence[int], first_mm: Vector3, step_mm: float) -> Grid:
    z, y, x = shape
    return Grid((z, y, x), (step_mm, step_mm, step_mm), first_mm)


def _along(field: Field, axis: int, place: npt.NDArray[np.float32]) -> Field:
    """Linear interpolation along one axis at fractional node numbers."""
    last = field.shape[axis] - 1
    place = np.clip(place, np.float32(0.0), np.float32(last))
    cell = np.minimum(place.astype(np.int64), max(last - 1, 0))
    share = (place - cell.astype(np.float32)).reshape([-1 if k == axis else 1 for k in range(3)])
    low: Field = np.take(field, cell, axis=axis)
    high: Field = np.take(field, np.minimum(cell + 1, last), axis=axis)
    high -= low
    high *= share
    high += low
    return high
