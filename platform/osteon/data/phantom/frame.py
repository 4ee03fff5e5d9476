"""Right-angled frames in which anatomy is written down, and placed, turned, mirrored and scaled into the scanner.

Plain floats and the four operations: sine and cosine are summed here, because those of C libraries differ in the last
digit from machine to machine, and a phantom is to be the same everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from osteon.core.geometry import IDENTITY, Matrix9, Vector3


def sine(degrees: float) -> float:
    """The sine of an angle within ±360°, from its Taylor series: the same last bit on every machine."""
    angle = (degrees / 180.0 - 2.0 * math.floor((degrees + 180.0) / 360.0)) * 3.141592653589793
    term = total = angle
    for n in range(1, 16):
        term = -term * angle * angle / ((2 * n) * (2 * n + 1))
        total += term
    return total


def cosine(degrees: float) -> float:
    """The cosine of an angle within ±270°, as `sine`."""
    return sine(degrees + 90.0)


@dataclass(frozen=True)
class Frame:
    """A place, three axes and a scale.

    Attributes:
        origin: scanner position of the frame's origin, z, y, x in mm.
        axes: 3x3, row-major, orthonormal; column k is the unit vector, in scanner z, y, x, along local axis k.
        scale: scanner millimetres per local millimetre.
    """

    origin: Vector3 = (0.0, 0.0, 0.0)
    axes: Matrix9 = IDENTITY
    scale: float = 1.0

    def along(self, z: float, y: float, x: float) -> Vector3:
        """A local direction as a scanner direction, unscaled."""
        a = self.axes
        return (
            a[0] * z + a[1] * y + a[2] * x,
            a[3] * z + a[4] * y + a[5] * x,
            a[6] * z + a[7] * y + a[8] * x,
        )

    def at(self, point: Vector3) -> Vector3:
        """The scanner position of a local point."""
        z, y, x = self.along(*point)
        return (
            self.origin[0] + self.scale * z,
            self.origin[1] + self.scale * y,
            self.origin[2] + self.scale * x,
        )

    def local(self, position: Vector3) -> Vector3:
        """The local point at a scanner position."""
        z, y, x = (here - there for here, there in zip(position, self.origin, strict=True))
        a, s = self.axes, self.scale
        return (
            (a[0] * z + a[3] * y + a[6] * x) / s,
            (a[1] * z + a[4] * y + a[7] * x) / s,
            (a[2] * z + a[5] * y + a[8] * x) / s,
        )

    def moved(self, point: Vector3, scale: float = 1.0) -> Frame:
        """The frame whose origin is a local point, with the same axes; lengths multiplied by ``scale``."""
        return Frame(self.at(point), self.axes, self.scale * scale)

    def pitched(self, degrees: float) -> Frame:
        """Turned about its own x axis: the z axis leans forward (anterior) by so much."""
        c, s = cosine(degrees), sine(degrees)
        return self._turned((c, s, 0.0, -s, c, 0.0, 0.0, 0.0, 1.0))

    def leaned(self, degrees: float) -> Frame:
        """Turned about its own y axis: the z axis leans to the frame's left by so much."""
        c, s = cosine(degrees), sine(degrees)
        return self._turned((c, 0.0, -s, 0.0, 1.0, 0.0, s, 0.0, c))

    def yawed(self, degrees: float) -> Frame:
        """Turned about its own z axis: the y axis (posterior) swings to the frame's left by so much."""
        c, s = cosine(degrees), sine(degrees)
        return self._turned((1.0, 0.0, 0.0, 0.0, c, -s, 0.0, s, c))

    def mirrored(self) -> Frame:
        """The frame of the other half of the body: x points the other way."""
        a = self.axes
        return Frame(self.origin, (a[0], a[1], -a[2], a[3], a[4], -a[5], a[6], a[7], -a[8]), self.scale)

    def _turned(self, turn: Matrix9) -> Frame:
        columns = [self.along(turn[k], turn[3 + k], turn[6 + k]) for k in range(3)]
        (a, d, g), (b, e, h), (c, f, i) = columns
        return Frame(self.origin, (a, b, c, d, e, f, g, h, i), self.scale)


def frame_of(origin: Vector3, up: Vector3, back: Vector3) -> Frame:
    """The right-angled frame at ``origin`` with z along ``up`` and y as near to ``back`` as it can be."""
    z = _unit(up)
    lean = z[0] * back[0] + z[1] * back[1] + z[2] * back[2]
    y = _unit((back[0] - lean * z[0], back[1] - lean * z[1], back[2] - lean * z[2]))
    x = (z[1] * y[2] - z[2] * y[1], z[2] * y[0] - z[0] * y[2], z[0] * y[1] - z[1] * y[0])
    return Frame(origin, (z[0], y[0], x[0], z[1], y[1], x[1], z[2], y[2], x[2]))


def _unit(vector: Vector3) -> Vector3:
    length = math.sqrt(vector[0] * vector[0] + vector[1] * vector[1] + vector[2] * vector[2])
    return (vector[0] / length, vector[1] / length, vector[2] / length)


def spline(points: list[Vector3], pieces: int) -> list[Vector3]:
    """A smooth curve (Catmull-Rom) through all points, ``pieces`` chords between each two."""
    padded = [points[0], *points, points[-1]]
    curve = [points[0]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        curve += [_between(a, b, c, d, step / pieces) for step in range(1, pieces + 1)]
    return curve


def _between(a: Vector3, b: Vector3, c: Vector3, d: Vector3, t: float) -> Vector3:
    weights = (
        ((-0.5 * t + 1.0) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1.0,
        ((-1.5 * t + 2.0) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    )
    z, y, x = (weights[0] * a[k] + weights[1] * b[k] + weights[2] * c[k] + weights[3] * d[k] for k in range(3))
    return (z, y, x)
