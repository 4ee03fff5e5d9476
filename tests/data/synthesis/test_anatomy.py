import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.anatomy import DEPTH_STEP_MM


def _field(*values: float) -> npt.NDArray[np.float32]:
    return np.array(values, dtype=np.float32)


def test_depth_grows_from_the_surface_and_ends_with_the_volume_are_no_surface(anatomy: Anatomy) -> None:
    depth = anatomy.depth * DEPTH_STEP_MM

    assert depth[10, 12:20, 42].tolist() == [3.0, 9.0, 15.0, 21.0, 21.0, 15.0, 9.0, 3.0]
    assert depth[0, 16, 42] == 21.0  # the femur is cut off here, not closed
    assert depth[anatomy.structure == 0].max() == 0


def test_neighbouring_bones_have_a_surface_between_them(anatomy: Anatomy) -> None:
    assert anatomy.depth[20, 16, 42] * DEPTH_STEP_MM == 3.0  # the hip, right above the femur


def test_finer_cubes_keep_every_structure_in_its_place(
    body: npt.NDArray[np.uint8], grid: Grid, table: LabelTable
) -> None:
    fine = Anatomy.of(body, grid, table, ["sacrum"], 3.0)

    assert fine.structure.shape == (128, 64, 112)
    assert np.array_equal(fine.structure[1::2, 1::2, 1::2][:, 1:-1, 1:-1], body[:, 1:-1, 1:-1])


def test_indices_beyond_the_ends_repeat_the_last_slice_and_meet_air_at_the_sides(
    anatomy: Anatomy, table: LabelTable
) -> None:
    found = anatomy.structure.ravel()[anatomy.at(_field(-9.0, 8.4, 8.4), _field(16.0, 16.0, 16.0), _field(42, 42, 99))]

    assert found.tolist() == [table.ids["femur_left"], table.ids["femur_left"], 0]


def test_labels_without_a_bone_are_refused(grid: Grid) -> None:
    liver = table_for(["liver", "sacrum"])
    ids = np.full(grid.shape, liver.ids["liver"], liver.dtype)

    with pytest.raises(BadInput, match="no-bones"):
        Anatomy.of(ids, grid, liver, ["sacrum"], 6.0)
