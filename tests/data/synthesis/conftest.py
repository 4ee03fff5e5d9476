"""A small labelled body: two femurs under two hips, a sacrum, ribs, and some soft tissue, in cubes of 6 mm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.synthesis import Anatomy

VOXEL_MM = 6.0
BONES = ("femur_left", "femur_right", "hip_left", "hip_right", "sacrum", "rib_left_12", "rib_right_12")
SOFT = ("colon", "aorta", "liver", "lung_lower_lobe_left", "gluteus_maximus_left")


def _fill(ids: npt.NDArray[np.uint8], id_: int, z: slice, y: slice, x: slice) -> None:
    ids[z, y, x] = id_


@pytest.fixture(scope="session")
def table() -> LabelTable:
    return table_for([*BONES, *SOFT])


@pytest.fixture(scope="session")
def body(table: LabelTable) -> npt.NDArray[np.uint8]:
    """z, y, x; x grows to the left, so that what is left has the higher index."""
    ids = np.zeros((64, 32, 56), np.uint8)
    for side, x in (("left", 38), ("right", 10)):
        _fill(ids, table.ids[f"femur_{side}"], slice(0, 20), slice(12, 20), slice(x, x + 8))
        _fill(ids, table.ids[f"hip_{side}"], slice(20, 34), slice(10, 22), slice(x - 1, x + 8))
        _fill(ids, table.ids[f"rib_{side}_12"], slice(52, 55), slice(6, 26), slice(x + 4, x + 7))
    _fill(ids, table.ids["sacrum"], slice(22, 34), slice(18, 26), slice(22, 34))
    _fill(ids, table.ids["colon"], slice(30, 44), slice(6, 16), slice(20, 34))
    _fill(ids, table.ids["aorta"], slice(34, 64), slice(17, 21), slice(27, 31))
    _fill(ids, table.ids["liver"], slice(45, 58), slice(8, 22), slice(8, 13))
    _fill(ids, table.ids["lung_lower_lobe_left"], slice(56, 64), slice(8, 22), slice(34, 42))
    _fill(ids, table.ids["gluteus_maximus_left"], slice(18, 30), slice(23, 29), slice(36, 46))
    return ids


@pytest.fixture(scope="session")
def grid(body: npt.NDArray[np.uint8]) -> Grid:
    z, y, x = body.shape
    return Grid((z, y, x), (VOXEL_MM,) * 3, (-900.0, 120.0, 37.0))


@pytest.fixture(scope="session")
def anatomy(body: npt.NDArray[np.uint8], grid: Grid, table: LabelTable) -> Anatomy:
    return Anatomy.of(body, grid, table, BONES, VOXEL_MM)


@pytest.fixture(scope="session")
def bones() -> LabelTable:
    return table_for(BONES)
