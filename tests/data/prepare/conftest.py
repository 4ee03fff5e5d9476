"""A scan of two thighs: shafts that lean apart, each with a head; in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import IDENTITY, Grid, Matrix9
from osteon.core.labels import LabelTable, table_for
from osteon.core.volume import Array
from osteon.data.prepare import Guide

BONE_HU, FLESH_HU, AIR_HU = 700, 40, -1000


@dataclass(frozen=True)
class Voxels:
    """An array as a `Volume`; its own future."""

    array: Array
    grid: Grid

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.array.dtype

    def read(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Voxels:
        block = self.array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))]
        assert block.shape == shape, f"read of {shape} at {start} leaves {self.grid.shape}"
        return Voxels(block, self.grid)

    def result(self) -> Array:
        return self.array


@dataclass(frozen=True)
class Thighs:
    """A scan with its labels."""

    hu: npt.NDArray[np.int16]
    ids: Array
    grid: Grid
    table: LabelTable

    @property
    def levels(self) -> tuple[Voxels, ...]:
        return (Voxels(self.hu, self.grid),)

    @property
    def label_levels(self) -> tuple[Voxels, ...]:
        return (Voxels(self.ids, self.grid),)

    @property
    def guide(self) -> Guide:
        return Guide(self.label_levels, self.table)


def make_thighs(tilt: Matrix9 = IDENTITY) -> Thighs:
    """Femurs of 100 mm at 2 x 1.5 x 1.5 mm; they lean 0.2 to the outside, and the left has the larger head."""
    table = table_for(["femur_left", "femur_right", "sacrum"])
    grid = Grid((60, 40, 100), (2.0, 1.5, 1.5), (-50.0, 10.0, -80.0), tilt)
    z, y, x = np.indices(grid.shape) * np.reshape(grid.spacing_mm, (3, 1, 1, 1))
    ids = np.zeros(grid.shape, np.uint8)
    for name, middle, lean, head in (("femur_left", 110.0, 0.2, 14.0), ("femur_right", 40.0, -0.2, 10.0)):
        axis = middle + lean * (z - 60)
        shaft = ((y - 30) ** 2 + (x - axis) ** 2 < 8**2) & (z > 10) & (z < 110)
        top = (z - 100) ** 2 + (y - 28) ** 2 + (x - middle - lean * 40) ** 2 < head**2
        ids[shaft | top] = table.ids[name]
    hu = np.full(grid.shape, FLESH_HU, np.int16)
    hu[:, :3] = AIR_HU
    hu[ids > 0] = BONE_HU
    return Thighs(hu, ids, grid, table)


@pytest.fixture(scope="session")
def thighs() -> Thighs:
    return make_thighs()


@pytest.fixture(scope="session")
def oblique_thighs() -> Thighs:
    """The same, lying aslant in the patient's coordinates by 0.1 about z."""
    cos, sin = np.cos(0.1), np.sin(0.1)
    return make_thighs((1.0, 0.0, 0.0, 0.0, cos, -sin, 0.0, sin, cos))


@pytest.fixture(scope="session")
def dice() -> Callable[[Array, Array], float]:
    def overlap(a: Array, b: Array) -> float:
        return float(2 * np.count_nonzero((a != 0) & (a == b)) / (np.count_nonzero(a) + np.count_nonzero(b)))

    return overlap


@pytest.fixture(scope="session")
def volume() -> Callable[[Array, Grid], Voxels]:
    return Voxels
