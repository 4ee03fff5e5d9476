"""Where the parallel planes of a volume lie, and whether that makes a regular grid.

Knows positions only, no pixels. Planes that are evenly spaced and not shifted against each other are a grid; missing
slices, uneven spacing, shifted slices and a tilted gantry are `Fault`s, which `upright` can resample away on request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.core.geometry import SHEAR_TOLERANCE, Grid, Index3, Vector3

UNEVEN_SHARE = 0.05  # of the plane distance: how far a plane may lie from where even spacing puts it
UNEVEN_MM = 0.06  # always tolerated: positions written with one decimal are off by up to 0.05 mm
SAME_PLACE_MM = 1e-2  # planes nearer than this lie at the same place
_LISTED = 5  # gaps named in a message

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fault:
    """Why planes are no regular grid: a machine code and a sentence."""

    code: str
    what: str

    @property
    def refusal(self) -> BadScan:
        """The fault as an error that names the remedy."""
        remedy = (
            "send the whole series, or resample it to an even, upright grid with --allow-gaps (recorded in the case)"
        )
        return BadScan(self.code, self.what, remedy=remedy)

    def correction(self, grid: Grid) -> str:
        """What is recorded of a scan that was resampled to ``grid``."""
        return f"{self.code}: {self.what}; resampled linearly to {grid.shape[0]} slices {grid.spacing_mm[0]:g} mm apart"


@dataclass(frozen=True)
class Stack:
    """Planes in order along their normal; vectors are x, y, z (LPS), lengths in mm.

    Attributes:
        positions: patient position of each plane's first pixel.
        row: unit vector along which x grows.
        column: unit vector along which y grows, at right angles to ``row``.
        spacing_mm: distance of pixels along y and x.
        plane_shape: pixels along y and x.
        thickness_mm: plane distance to assume where there is one plane only.
    """

    positions: tuple[Vector3, ...]
    row: Vector3
    column: Vector3
    spacing_mm: tuple[float, float]
    plane_shape: tuple[int, int]
    thickness_mm: float | None = None

    @classmethod
    def of_affine(cls, shape: Index3, affine_zyx: Floats) -> Stack:
        """The stack of an index-to-patient matrix (z, y, x order) whose slice axis may be oblique.

        Raises:
            BadScan: ``sheared-affine`` if the planes themselves are no rectangles.
        """
        matrix = affine_zyx[:3, :3][::-1]
        lengths = np.linalg.norm(matrix, axis=0)
        slice_axis, column, row = (matrix[:, axis] / lengths[axis] for axis in range(3))
        if abs(row @ column) > SHEAR_TOLERANCE:
            what = f"the axes within a slice are not at right angles (cosine {row @ column:.4f})"
            raise BadScan("sheared-affine", what, remedy="resample the scan to an orthogonal grid first")
        first = affine_zyx[:3, 3][::-1]
        positions = [first + number * lengths[0] * slice_axis for number in range(shape[0])]
        spacing = (float(lengths[1]), float(lengths[2]))
        return cls(tuple(map(vector, positions)), vector(row), vector(column), spacing, shape[1:])

    def take(self, kept: Sequence[int]) -> Stack:
        """The stack of some of the planes."""
        return replace(self, positions=tuple(self.positions[number] for number in kept))

    @cached_property
    def normal(self) -> Floats:
        """Unit vector across the planes, in the direction in which they follow each other."""
        normal: Floats = np.cross(self.row, self.column)
        way = np.subtract(self.positions[-1], self.positions[0])
        return -normal if way @ normal < 0 else normal

    @cached_property
    def along_mm(self) -> Floats:
        """Distance of each plane from the first, along the normal."""
        return np.asarray((np.asarray(self.positions) - self.positions[0]) @ self.normal)

    @cached_property
    def shifts_mm(self) -> Floats:
        """(n, 2): how far each plane lies from the first within the plane, along y and x."""
        return np.asarray((np.asarray(self.positions) - self.positions[0]) @ np.transpose([self.column, self.row]))

    def coincident(self) -> list[int]:
        """The planes that lie at the same place as the one before."""
        return [int(n) + 1 for n in np.flatnonzero(np.diff(self.along_mm) < SAME_PLACE_MM)]

    def fault(self) -> Fault | None:
        """The first reason why the planes are no regular grid, if there is one."""
        if len(self.positions) < 2:
            return None
        return self._gaps() or self._unevenness() or self._tilt()

    def grid(self) -> Grid:
        """The grid of planes without fault.

        Raises:
            BadScan: ``single-slice`` if a single plane has no thickness.
        """
        affine = np.eye(4)
        affine[:3, 0] = self._step()[::-1]
        affine[:3, 1] = np.multiply(self.column, self.spacing_mm[0])[::-1]
        affine[:3, 2] = np.multiply(self.row, self.spacing_mm[1])[::-1]
        affine[:3, 3] = self.positions[0][::-1]
        return Grid.from_affine((len(self.positions), *self.plane_shape), affine)

    def _step(self) -> Floats:
        if len(self.positions) > 1:
            return np.subtract(self.positions[-1], self.positions[0]) / (len(self.positions) - 1)
        if self.thickness_mm is None or not (math.isfinite(self.thickness_mm) and self.thickness_mm > 0):
            what = f"a single slice of thickness {self.thickness_mm} is no volume"
            raise BadScan("single-slice", what, remedy="send the whole series")
        return self.normal * self.thickness_mm

    def _gaps(self) -> Fault | None:
        steps = np.diff(self.along_mm)
        step = float(np.quantile(steps, 0.25, method="lower"))
        counts = np.rint(steps / step)
        whole = np.abs(steps - counts * step) <= np.maximum(UNEVEN_SHARE * step * counts, 2 * UNEVEN_MM)
        gaps = np.flatnonzero((counts > 1) & whole)
        if not len(gaps):
            return None
        start = float(np.asarray(self.positions[0]) @ self.normal)
        listed = [f"{int(counts[n]) - 1} after {start + self.along_mm[n]:.2f} mm" for n in gaps[:_LISTED]]
        more = f" and {len(gaps) - _LISTED} more places" if len(gaps) > _LISTED else ""
        missing = int((counts[gaps] - 1).sum())
        return Fault("missing-slice", f"{missing} slices {step:g} mm apart are missing: {', '.join(listed)}{more}")

    def _unevenness(self) -> Fault | None:
        even = np.linspace(0, self.along_mm[-1], len(self.along_mm))
        tolerance = max(UNEVEN_SHARE * even[1], min(UNEVEN_MM, 0.25 * even[1]))
        if np.abs(self.along_mm - even).max() <= tolerance:
            return None
        steps = np.diff(self.along_mm)
        return Fault("uneven-spacing", f"slice distances run from {steps.min():.3f} to {steps.max():.3f} mm")

    def _tilt(self) -> Fault | None:
        drift = self.shifts_mm[-1] / self.along_mm[-1]
        stray = np.abs(self.shifts_mm - np.outer(self.along_mm, drift)).max()
        if stray > max(SHEAR_TOLERANCE * self.along_mm[-1], UNEVEN_MM):
            return Fault("shifted-slices", f"slices are shifted against each other by up to {stray:.3f} mm")
        return self.shear() if math.sin(math.atan(float(np.hypot(*drift)))) > SHEAR_TOLERANCE else None

    def shear(self) -> Fault:
        """The fault of a stack whose planes do not follow each other along their normal."""
        angle = math.degrees(math.atan2(float(np.hypot(*self.shifts_mm[-1])), float(self.along_mm[-1])))
        return Fault("tilted-gantry", f"the gantry was tilted by {angle:.2f} degrees: slices are sheared")


def vector(values: npt.ArrayLike) -> Vector3:
    """Three floats of anything with three numbers."""
    x, y, z = (float(value) for value in np.asarray(values))
    return (x, y, z)
