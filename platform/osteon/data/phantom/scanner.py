"""The scanner: the table, the blur of its resolution, its noise, and whole HU at the end.

Blur, noise and rounding are integer arithmetic, in sixteenths of an HU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.data.phantom.draws import Draws
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block, Field
from osteon.data.phantom.tissue import Canvas

HU_MIN, HU_MAX = -1024, 3071  # what 12 bits hold with the usual intercept of -1024

Integers = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Scanner:
    """How a scan looks that this scanner makes.

    Attributes:
        sharpness: weight of the middle voxel in the blur's three-tap kernel (1, sharpness, 1).
        noise_hu: standard deviation of the noise.
    """

    sharpness: int
    noise_hu: float

    @classmethod
    def of(cls, person: Person) -> Scanner:
        """The scanner that this person lies in."""
        draws = person.draws("scanner")
        return cls(2 + 2 * int(draws.uniform(0.0, 3.0)), draws.uniform(8.0, 22.0))


@dataclass(frozen=True)
class Table:
    """A curved couch that the back is pressed flat on.

    Attributes:
        top: scanner y of its top in the middle, in mm.
    """

    top: np.float32

    @classmethod
    def under(cls, skin: Field, block: Block) -> Table:
        """The table that touches the lowest skin of the back, 10 mm of which it presses in."""
        back = (skin < 0) & (np.abs(block.x) < 110.0)
        lowest = np.where(back, _height(block), np.float32(-1e4)).max()
        return cls(lowest - np.float32(10.0))

    def distance(self, block: Block) -> Field:
        """Millimetres to its top, negative where table (or what lies below it) is."""
        distance: Field = self.top - _height(block)
        return distance

    def paint(self, canvas: Canvas) -> None:
        """A carbon shell round foam, 44 mm thick and 420 mm wide; a thin mattress on it."""
        distance = self.distance(canvas.block)
        edge = np.maximum(np.abs(canvas.block.x) - np.float32(212.0), -(distance + np.float32(52.0)))
        mat = np.maximum(distance + 1.0, edge)
        canvas.cover(mat, -920.0)
        canvas.cover(np.maximum(mat + 7.0, edge), 40.0)
        canvas.cover(np.maximum(mat + 11.0, edge + 4.0), -930.0)


def expose(canvas: Canvas, scanner: Scanner, draws: Draws) -> npt.NDArray[np.int16]:
    """The scan of a canvas: blurred, noisy, int16 HU."""
    fine = np.rint(canvas.hu * np.float32(16.0)).astype(np.int32)
    for axis, middle in ((2, scanner.sharpness), (1, scanner.sharpness), (0, 2 * scanner.sharpness)):
        fine = blur(fine, axis, middle) // (middle + 2)
    speckle = draws.grain(canvas.block.shape)
    for axis in (2, 1):
        speckle = blur(speckle, axis, 2)
    fine += speckle * round(scanner.noise_hu * 16.0) // 24  # the blurred grain's standard deviation is 4 x 6
    return whole_hu(fine)


def whole_hu(fine: Integers) -> npt.NDArray[np.int16]:
    """Sixteenths of an HU as 12-bit HU."""
    hu: npt.NDArray[np.int16] = np.clip((fine + 8) >> 4, HU_MIN, HU_MAX).astype(np.int16)
    return hu


def blur(field: Integers, axis: int, middle: int) -> Integers:
    """Sum of each voxel, ``middle`` times, and its two neighbours along an axis; edges repeated."""
    last = field.shape[axis] - 1
    before: Integers = np.take(field, np.maximum(np.arange(last + 1) - 1, 0), axis=axis)
    after = np.take(field, np.minimum(np.arange(last + 1) + 1, last), axis=axis)
    before += after
    before += middle * field
    return before


def _height(block: Block) -> Field:
    """How far back a voxel lies, along the couch's curve."""
    return np.asarray(block.y + np.square(block.x) * np.float32(0.0004), dtype=np.float32)
