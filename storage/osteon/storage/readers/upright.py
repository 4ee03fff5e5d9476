"""Makes an even, upright grid of planes that are none: with gaps, unevenly spaced, shifted, or tilted.

Values are interpolated linearly: between neighbouring planes along the normal, and within a plane against its shift.
The grid spans the union of all planes; what no plane covers is air.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid, Index3
from osteon.storage.readers.planes import Planes
from osteon.storage.readers.stack import Stack

AIR_HU = -1024

Plane = npt.NDArray[np.float32]


@dataclass(frozen=True)
class UprightPlanes:
    """`Planes` on the upright grid, interpolated from the planes of ``base`` as they are read.

    Attributes:
        base: the planes as they were measured; read across axis 0 only.
        shape: of the upright grid.
        places: for each base plane its (fractional) index on the upright grid's slice axis.
        shifts: for each base plane the (fractional) y, x index of its first pixel on the upright grid.
    """

    base: Planes
    shape: Index3
    places: tuple[float, ...]
    shifts: tuple[tuple[float, float], ...]

    def read(self, axis: int, start: int, stop: int) -> npt.NDArray[np.int16]:
        """See `Planes`."""
        if axis != 0:
            raise ValueError("upright planes are read across their slice axis; spool them first")
        last = len(self.places) - 1
        below = np.clip(np.searchsorted(self.places, np.arange(start, stop), side="right") - 1, 0, max(0, last - 1))
        first, end = int(below[0]), min(int(below[-1]) + 1, last) + 1
        measured = self.base.read(0, first, end)
        placed = [self._place(measured[number - first], self.shifts[number]) for number in range(first, end)]
        result = np.empty((stop - start, *self.shape[1:]), np.int16)
        for number, lower in enumerate(below):
            upper = min(int(lower) + 1, last)
            gap = self.places[upper] - self.places[lower]
            weight = (start + number - self.places[lower]) / gap if gap else 0.0
            plane = placed[lower - first] * (1 - weight) + placed[upper - first] * weight
            result[number] = np.rint(plane)
        return result

    def _place(self, plane: npt.NDArray[np.int16], shift: tuple[float, float]) -> Plane:
        """The plane on the upright grid's rows and columns, air around it."""
        whole = [int(np.floor(value)) for value in shift]
        fraction_y, fraction_x = (value - floor for value, floor in zip(shift, whole, strict=True))
        canvas = np.full((self.shape[1] + 1, self.shape[2] + 1), AIR_HU, np.float32)
        top, left = whole[0] + 1, whole[1] + 1
        canvas[top : top + plane.shape[0], left : left + plane.shape[1]] = plane[
            : canvas.shape[0] - top, : canvas.shape[1] - left
        ]
        rows = _lerp(canvas[1:], canvas[:-1], fraction_y)
        return _lerp(rows[:, 1:], rows[:, :-1], fraction_x)


def _lerp(here: Plane, before: Plane, fraction: float) -> Plane:
    return here * np.float32(1 - fraction) + before * np.float32(fraction)


def make_upright(stack: Stack, base: Planes) -> tuple[Grid, UprightPlanes]:
    """The upright grid of a stack (its planes are those of ``base``) and the planes on it.

    The slice distance is the stack's usual one (lower quartile of its steps), fitted so that first and last
    planes stay.
    """
    along, shifts = stack.along_mm, stack.shifts_mm / np.asarray(stack.spacing_mm)
    usual = float(np.quantile(np.diff(along), 0.25, method="lower"))
    count = max(2, round(along[-1] / usual) + 1)
    step = float(along[-1]) / (count - 1)
    corner = np.floor(shifts.min(axis=0) + 1e-6)
    shifts = np.maximum(shifts - corner, 0.0)
    rows, columns = (
        int(size + np.ceil(most - 1e-6)) for size, most in zip(stack.plane_shape, shifts.max(axis=0), strict=True)
    )
    affine = np.eye(4)
    column, row = (
        np.multiply(axis, size) for axis, size in zip((stack.column, stack.row), stack.spacing_mm, strict=True)
    )
    first = np.asarray(stack.positions[0]) + corner[0] * column + corner[1] * row
    for place, vector in enumerate((stack.normal * step, column, row, first)):
        affine[:3, place] = vector[::-1]
    grid = Grid.from_affine((count, rows, columns), affine)
    places = tuple(float(value) / step for value in along)
    return grid, UprightPlanes(base, grid.shape, places, tuple((float(y), float(x)) for y, x in shifts))
