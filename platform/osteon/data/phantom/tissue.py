"""Soft tissue: a field of HU that solids are painted into, and the stack of ellipses that trunks are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Vector3
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.frame import Frame, spline
from osteon.data.phantom.shapes import Block, Box, Field, Shape, smooth_union

RIM_MM = 24.0  # radius of the edges at both ends of a stack


@dataclass(frozen=True)
class Ring:
    """One cross-section of a trunk, in the body's frame, mm.

    Attributes:
        z: its height.
        front: y of its front.
        back: y of its back.
        half_width: from its middle to the side.
        x: its middle.
    """

    z: float
    front: float
    back: float
    half_width: float
    x: float = 0.0


@dataclass(frozen=True)
class Stack:
    """Rings one above the other, joined smoothly, closed at both ends.

    Attributes:
        frame: the body's; its turn about z is kept, its lean moves the rings' middles.
        rings: from the lowest up.
        square: how square they are; 0 is an ellipse.
    """

    frame: Frame
    rings: tuple[Ring, ...]
    square: float = 0.5

    @property
    def box(self) -> Box:
        """A box that holds it."""
        middle, extent = self._curves()
        reach = max(max(depth, width) for _, depth, width in extent)
        low = [min(point[k] for point in middle) - (reach if k else 0.0) for k in range(3)]
        high = [max(point[k] for point in middle) + (reach if k else 0.0) for k in range(3)]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def distance(self, block: Block) -> Field:
        """Millimetres to its surface (first order), negative inside."""
        middle, extent = self._curves()
        heights = np.array([point[0] for point in middle])
        level = block.z.ravel().astype(np.float64)
        y0, x0 = (_between(level, heights, [point[k] for point in middle]) for k in (1, 2))
        depth, width = (_between(level, heights, [size[k] for size in extent]) for k in (1, 2))
        y, x = block.y - y0, block.x - x0
        axes = self.frame.axes
        y, x = axes[4] * y + axes[7] * x, axes[5] * y + axes[8] * x  # turned about z with the body
        v, u = np.square(y / depth), np.square(x / width)
        near = np.sqrt(v + u)
        near = near + self.square * (np.sqrt(np.sqrt(v * v + u * u)) - near)
        slope = np.sqrt(v / (depth * depth) + u / (width * width)) + 1e-6
        ends = np.maximum(heights[0] - level, level - heights[-1]).astype(np.float32)[:, None, None] + RIM_MM
        side = near * (near - 1.0) / slope + RIM_MM
        outside = np.sqrt(np.square(np.maximum(side, 0.0)) + np.square(np.maximum(ends, 0.0)))
        distance: Field = np.minimum(np.maximum(side, ends), 0.0) + outside - RIM_MM
        return distance

    def _curves(self) -> tuple[list[Vector3], list[Vector3]]:
        middle = spline([(ring.z, 0.5 * (ring.front + ring.back), ring.x) for ring in self.rings], 4)
        extent = spline([(ring.z, 0.5 * (ring.back - ring.front), ring.half_width) for ring in self.rings], 4)
        scale = self.frame.scale
        return [self.frame.at(point) for point in middle], [(z, d * scale, w * scale) for z, d, w in extent]


class Canvas:
    """HU on a grid, painted solid over solid with edges one voxel soft.

    Attributes:
        block: the grid's voxel centres.
        voxel_mm: width of an edge.
        hu: float32, z, y, x.
    """

    def __init__(self, block: Block, voxel_mm: float, air_hu: float) -> None:
        """A canvas full of air."""
        self.block = block
        self.voxel_mm = voxel_mm
        self.hu: Field = np.full(block.shape, np.float32(air_hu))

    def cover(self, distance: Field, hu: Field | float, where: tuple[slice, slice, slice] | None = None) -> None:
        """Paint what a distance field encloses."""
        view = self.hu if where is None else self.hu[where]
        view += self.share(distance) * (hu - view)

    def paint(self, shapes: Sequence[Shape], hu: float, within: Field | None = None) -> None:
        """Paint solids, cut to where ``within`` (a distance field of the whole grid) is negative."""
        for shape in shapes:
            near = self.block.around(shape.box, self.voxel_mm)
            if near is None:
                continue
            distance = shape.distance(near)
            if within is not None:
                distance = np.maximum(distance, within[near.where])
            self.cover(distance, hu, near.where)

    def share(self, distance: Field) -> Field:
        """How much of each voxel is enclosed, 0 to 1, were the surface flat."""
        share: Field = np.clip(0.5 - distance / self.voxel_mm, 0.0, 1.0)
        return share


def union_field(shapes: Sequence[Shape], block: Block, margin_mm: float, blend_mm: float) -> Field:
    """The distance to the union of solids over the whole grid; ``margin_mm`` is as far out as it is right."""
    field = np.full(block.shape, np.float32(margin_mm))
    for shape in shapes:
        near = block.around(shape.box, margin_mm)
        if near is not None:
            field[near.where] = smooth_union(field[near.where], shape.distance(near), blend_mm)
    return field


def texture(draws: Draws, block: Block, voxel_mm: float, grain_mm: Vector3) -> Field:
    """A smooth random field of about ±1 whose lumps are ``grain_mm`` long, deep and wide."""
    steps = [max(1, round(grain / voxel_mm)) for grain in grain_mm]
    depth, height, width = (n // step + 2 for n, step in zip(block.shape, steps, strict=True))
    field: Field = draws.grain((depth, height, width)).astype(np.float32) * np.float32(0.125)
    for axis, (count, step) in enumerate(zip(block.shape, steps, strict=True)):
        place = np.arange(count)
        cell, share = place // step, ((place % step) / step).astype(np.float32)
        share = share.reshape([-1 if k == axis else 1 for k in range(3)])
        low, high = np.take(field, cell, axis=axis), np.take(field, cell + 1, axis=axis)
        field = low + share * (high - low)
    return field


def _between(at: npt.NDArray[np.float64], knots: npt.NDArray[np.float64], values: Sequence[float]) -> Field:
    """Linear interpolation, held beyond the ends, as a (Z, 1, 1) field."""
    table = np.asarray(values)
    upper = np.clip(np.searchsorted(knots, at), 1, len(knots) - 1)
    low, high = knots[upper - 1], knots[upper]
    share = np.clip((at - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    line: Field = (table[upper - 1] + share * (table[upper] - table[upper - 1])).astype(np.float32)
    return line[:, None, None]
