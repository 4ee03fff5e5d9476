"""Solids given by their signed distance, and the voxels it is asked for. Knows no anatomy and no HU.

Every distance is negative inside, in millimetres, and made of +, -, ×, ÷, √, min and max alone: those are exact by
IEEE 754, so each voxel has the same bits on every machine (no exp, no sums in an order that hardware chooses).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3, Vector3
from osteon.data.phantom.frame import Frame

Field = npt.NDArray[np.float32]  # one value per voxel of a block, z, y, x
Box = tuple[Vector3, Vector3]  # lowest and highest corner, scanner z, y, x in mm


@dataclass(frozen=True)
class Block:
    """Voxel centres of a part of the grid.

    Attributes:
        start: first voxel in the grid.
        z: scanner positions in mm, shape (Z, 1, 1).
        y: shape (1, Y, 1).
        x: shape (1, 1, X).
    """

    start: Index3
    z: Field
    y: Field
    x: Field

    @classmethod
    def whole(cls, grid: Grid) -> Block:
        """All voxels of an axis-aligned grid."""
        axes = [
            (np.arange(n) * step + first).astype(np.float32)
            for n, step, first in zip(grid.shape, grid.spacing_mm, grid.origin_mm, strict=True)
        ]
        return cls((0, 0, 0), axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :])

    @property
    def shape(self) -> Index3:
        """Voxels along z, y, x."""
        return (self.z.size, self.y.size, self.x.size)

    @property
    def where(self) -> tuple[slice, slice, slice]:
        """The block's place in an array of the whole grid."""
        z, y, x = (slice(first, first + n) for first, n in zip(self.start, self.shape, strict=True))
        return (z, y, x)

    def around(self, box: Box, margin_mm: float) -> Block | None:
        """The voxels within a box widened by a margin; None if there are none."""
        cuts = []
        for axis, low, high in zip((self.z, self.y, self.x), box[0], box[1], strict=True):
            first, stop = np.searchsorted(axis.ravel(), (low - margin_mm, high + margin_mm))
            if first == stop:
                return None
            cuts.append(slice(int(first), int(stop)))
        z, y, x = cuts
        start = (self.start[0] + z.start, self.start[1] + y.start, self.start[2] + x.start)
        return Block(start, self.z[z], self.y[:, y], self.x[:, :, x])

    def local(self, frame: Frame) -> tuple[Field, Field, Field]:
        """The voxel centres in a frame's own z, y, x."""
        a, s = frame.axes, frame.scale
        z, y, x = (axis - start for axis, start in zip((self.z, self.y, self.x), frame.origin, strict=True))
        return (
            (a[0] / s) * z + (a[3] / s) * y + (a[6] / s) * x,
            (a[1] / s) * z + (a[4] / s) * y + (a[7] / s) * x,
            (a[2] / s) * z + (a[5] / s) * y + (a[8] / s) * x,
        )


class Shape(Protocol):
    """A solid."""

    @property
    def box(self) -> Box:
        """A box that holds it."""
        ...

    def distance(self, block: Block) -> Field:
        """Millimetres to its surface, negative inside."""
        ...


@dataclass(frozen=True)
class Rod:
    """A straight piece of a tube: two balls and what lies between them.

    Attributes:
        a: centre of the first ball, scanner z, y, x in mm.
        b: centre of the second.
        radius_a: in mm.
        radius_b: in mm.
        thin: unit vector across which the rod is flattened.
        flatness: how many times thinner it is along ``thin``; 1 is round.
        continues: whether it begins where the rod listed before it ends, as one tube without a fillet.
    """

    a: Vector3
    b: Vector3
    radius_a: float
    radius_b: float
    thin: Vector3 = (0.0, 0.0, 0.0)
    flatness: float = 1.0
    continues: bool = False

    @property
    def box(self) -> Box:
        """A box that holds it."""
        radius = max(self.radius_a, self.radius_b)
        low = [min(p, q) - radius for p, q in zip(self.a, self.b, strict=True)]
        high = [max(p, q) + radius for p, q in zip(self.a, self.b, strict=True)]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def distance(self, block: Block) -> Field:
        """Millimetres to its surface, negative inside."""
        z, y, x = block.z - self.a[0], block.y - self.a[1], block.x - self.a[2]
        axis = [q - p for p, q in zip(self.a, self.b, strict=True)]
        square = max(axis[0] * axis[0] + axis[1] * axis[1] + axis[2] * axis[2], 1e-6)
        dot = z * axis[0] + y * axis[1] + x * axis[2]
        along = np.clip(dot / square, 0.0, 1.0)
        apart = (z * z + y * y + x * x) - along * (2.0 * dot - along * square)
        radius = self.radius_a + along * (self.radius_b - self.radius_a)
        if self.flatness == 1.0:
            round_distance: Field = np.sqrt(np.maximum(apart, 0.0)) - radius
            return round_distance
        n, factor = self.thin, self.flatness * self.flatness
        tilt = axis[0] * n[0] + axis[1] * n[1] + axis[2] * n[2]
        across = np.square(z * n[0] + y * n[1] + x * n[2] - along * tilt)
        within = np.maximum(apart - across, 0.0)
        near = np.sqrt(within + factor * across)
        slope = np.sqrt(within + factor * factor * across) + 1e-6
        distance: Field = (near - radius) * ((near + 1e-6) / slope)  # to first order, by the gradient's length
        return distance


@dataclass(frozen=True)
class Ellipsoid:
    """A ball stretched along its frame's axes.

    Attributes:
        frame: its centre and axes.
        radii: half axes along local z, y, x, in local mm.
    """

    frame: Frame
    radii: Vector3

    @property
    def box(self) -> Box:
        """A box that holds it."""
        return _box_of(self.frame, self.radii)

    def distance(self, block: Block) -> Field:
        """Millimetres to its surface (first order), negative inside."""
        z, y, x = (axis / radius for axis, radius in zip(block.local(self.frame), self.radii, strict=True))
        near = np.sqrt(z * z + y * y + x * x)
        z, y, x = (axis / radius for axis, radius in zip((z, y, x), self.radii, strict=True))
        slope = np.sqrt(z * z + y * y + x * x) + 1e-6
        distance: Field = near * (near - 1.0) / slope * self.frame.scale
        return distance


@dataclass(frozen=True)
class Drum:
    """An elliptic cylinder with rounded rims and, like a vertebral body, a waist.

    Attributes:
        frame: its centre and axes; the drum stands along z.
        radii: half height, half depth, half width in local mm.
        waist: how much narrower it is at half height, as a share.
        rim: radius of the rims, local mm.
        hollow: depth of the groove along its back, local mm (a vertebral body is kidney-shaped from above).
    """

    frame: Frame
    radii: Vector3
    waist: float = 0.0
    rim: float = 2.0
    hollow: float = 0.0

    @property
    def box(self) -> Box:
        """A box that holds it."""
        return _box_of(self.frame, self.radii)

    def distance(self, block: Block) -> Field:
        """Millimetres to its surface (first order), negative inside."""
        z, y, x = block.local(self.frame)
        height, depth, width = self.radii
        level = np.minimum(z * z / (height * height), 1.0)
        swell = 1.0 - self.waist * (1.0 - level)
        y = y + self.hollow * np.maximum(1.0 - 4.0 * (x * x) / (width * width), 0.0) * (y > 0)
        y, x = y / (swell * depth), x / (swell * width)
        near = np.sqrt(y * y + x * x)
        slope = np.sqrt(y * y / (depth * depth) + x * x / (width * width)) + 1e-6
        side = near * (near - 1.0) / slope + self.rim
        lid = np.abs(z) - (height - self.rim)
        outside = np.sqrt(np.square(np.maximum(side, 0.0)) + np.square(np.maximum(lid, 0.0)))
        distance: Field = (np.minimum(np.maximum(side, lid), 0.0) + outside - self.rim) * self.frame.scale
        return distance


@dataclass(frozen=True)
class Plate:
    """A thin curved plate: an outline in its frame's z, y plane, bulging out of that plane along x.

    Attributes:
        frame: its place; x is across the plate.
        outline: corners of the outline, local (z, y) in mm, in order.
        bulge: coefficients of 1, z, y, z², z·y, y² (z, y in units of 100 mm): the mid-surface's x in local mm.
        thickness: half thickness, local mm.
        rounding: radius by which the outline's corners are rounded (the outline grows by it), local mm.
    """

    frame: Frame
    outline: tuple[tuple[float, float], ...]
    bulge: tuple[float, float, float, float, float, float]
    thickness: float
    rounding: float = 4.0

    @property
    def box(self) -> Box:
        """A box that holds it."""
        corners = [self.frame.at((z, y, x)) for z, y in self.outline for x in self._reach()]
        margin = self.frame.scale * (self.rounding + self.thickness)
        low = [min(corner[k] for corner in corners) - margin for k in range(3)]
        high = [max(corner[k] for corner in corners) + margin for k in range(3)]
        return (low[0], low[1], low[2]), (high[0], high[1], high[2])

    def distance(self, block: Block) -> Field:
        """Millimetres to its surface (about), negative inside."""
        z, y, x = block.local(self.frame)
        c = self.bulge
        u, v = z * 0.01, y * 0.01
        middle = c[0] + c[1] * u + c[2] * v + c[3] * (u * u) + c[4] * (u * v) + c[5] * (v * v)
        steep_z, steep_y = (c[1] + 2 * c[3] * u + c[4] * v) * 0.01, (c[2] + 2 * c[5] * v + c[4] * u) * 0.01
        across = np.abs(x - middle) / np.sqrt(1.0 + steep_z * steep_z + steep_y * steep_y) - self.thickness
        edge = _polygon_distance(self.outline, z, y) - self.rounding
        # rounded by the half thickness, so that the rim of a blade is no knife
        r = self.thickness
        side, face = edge + r, across + r
        outside = np.sqrt(np.square(np.maximum(side, 0.0)) + np.square(np.maximum(face, 0.0)))
        distance: Field = (np.minimum(np.maximum(side, face), 0.0) + outside - r) * self.frame.scale
        return distance

    def _reach(self) -> tuple[float, float]:
        c = self.bulge
        values = []
        for z in (min(p[0] for p in self.outline), 0.0, max(p[0] for p in self.outline)):
            for y in (min(p[1] for p in self.outline), 0.0, max(p[1] for p in self.outline)):
                u, v = z * 0.01, y * 0.01
                values.append(c[0] + c[1] * u + c[2] * v + c[3] * u * u + c[4] * u * v + c[5] * v * v)
        return min(values), max(values)


def tube(
    frame: Frame,
    points: Sequence[Vector3],
    radii: Sequence[float],
    *,
    thin: Vector3 | Sequence[Vector3] = (0.0, 0.0, 1.0),
    flatness: float = 1.0,
) -> list[Shape]:
    """The rods of a tube through a frame's points.

    Args:
        frame: in whose millimetres all else is given.
        points: local z, y, x.
        radii: one per point.
        thin: direction across which the tube is flattened, one for all or one per point.
        flatness: as in `Rod`.
    """
    across = [thin] * len(points) if isinstance(thin[0], float) else thin
    rods: list[Shape] = []
    for a, b, p, q, n in zip(points, points[1:], radii, radii[1:], across, strict=False):
        direction = frame.along(*n)  # type: ignore[misc]  # one vector per point by now
        ends = frame.at(a), frame.at(b), p * frame.scale, q * frame.scale
        rods.append(Rod(*ends, direction, flatness, continues=bool(rods)))
    return rods


def ball(frame: Frame, centre: Vector3, radius: float) -> Shape:
    """A ball at a frame's point."""
    return Rod(frame.at(centre), frame.at(centre), radius * frame.scale, radius * frame.scale)


def _box_of(frame: Frame, radii: Vector3) -> Box:
    a = frame.axes
    reach = [frame.scale * sum(abs(a[3 * row + column]) * radii[column] for column in range(3)) for row in range(3)]
    low = [frame.origin[k] - reach[k] for k in range(3)]
    high = [frame.origin[k] + reach[k] for k in range(3)]
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _polygon_distance(corners: tuple[tuple[float, float], ...], z: Field, y: Field) -> Field:
    """Distance to a polygon in the z, y plane, negative inside (even-odd rule)."""
    nearest = np.full(np.broadcast_shapes(z.shape, y.shape), np.float32(1e12))
    inside = np.zeros(nearest.shape, dtype=bool)
    for (az, ay), (bz, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        edge_z, edge_y = bz - az, by - ay
        from_z, from_y = z - az, y - ay
        along = np.clip((from_z * edge_z + from_y * edge_y) / (edge_z * edge_z + edge_y * edge_y), 0.0, 1.0)
        off_z, off_y = from_z - along * edge_z, from_y - along * edge_y
        nearest = np.minimum(nearest, off_z * off_z + off_y * off_y)
        straddles = (z >= az) != (z >= bz)
        if edge_z != 0.0:
            inside ^= straddles & (y < ay + from_z * (edge_y / edge_z))
    distance: Field = np.where(inside, -np.sqrt(nearest), np.sqrt(nearest))
    return distance


def smooth_union(a: Field, b: Field, blend_mm: float) -> Field:
    """The union of two solids with a fillet of about ``blend_mm`` where they meet (polynomial smooth minimum)."""
    near = np.maximum(blend_mm - np.abs(a - b), 0.0)
    union: Field = np.minimum(a, b) - near * near * (0.25 / blend_mm)
    return union
