import pytest

from osteon.core.labels import LabelTable
from osteon.evaluation.confusion import MixUp, add_up, mix_ups, side_of, sides
from osteon.evaluation.scores import Confusion


def pair(reference_id: int, predicted_id: int, voxels: int) -> Confusion:
    return Confusion(reference_id=reference_id, predicted_id=predicted_id, voxels=voxels)


@pytest.mark.parametrize(
    ("name", "side"),
    [("hip_left", "left"), ("rib_right_7", "right"), ("left_screw", "left"), ("sacrum", None), ("cleft_plate", None)],
)
def test_the_side_is_read_from_the_name(name: str, side: str | None) -> None:
    assert side_of(name) == side


def test_counts_of_cases_add_up() -> None:
    counts = add_up([pair(7, 7, 10), pair(7, 0, 2), pair(7, 7, 5), pair(0, 7, 1)])

    assert counts == {7: {7: 15, 0: 2}, 0: {7: 1}}


def test_every_voxel_of_a_sided_bone_is_in_one_column(table: LabelTable) -> None:
    counts = add_up([pair(7, 7, 60), pair(7, 8, 20), pair(7, 3, 5), pair(7, 0, 15), pair(3, 3, 9)])

    (row,) = sides(counts, table)

    assert (row.name, row.side, row.voxels) == ("hip_left", "left", 100)
    assert (row.left, row.right, row.midline, row.background, row.twin) == (60, 20, 5, 15, 20)
    assert row.wrong_side_share == pytest.approx(0.2)
    assert row.is_swapped


def test_another_bone_of_the_other_side_is_the_wrong_side_but_no_twin() -> None:
    table = LabelTable.of({1: "hip_right", 2: "femur_left", 3: "femur_right"})

    right, left = sides(add_up([pair(1, 1, 50), pair(1, 2, 50), pair(2, 2, 999), pair(2, 1, 1)]), table)

    assert (right.wrong_side, right.twin, right.is_swapped) == (50, 0, True)
    assert (left.wrong_side, left.twin, left.is_swapped) == (1, 0, False)


def test_a_sided_bone_without_its_twin_in_the_table_has_no_twin_voxels() -> None:
    (row,) = sides(add_up([pair(5, 0, 3), pair(5, 5, 4)]), LabelTable.of({5: "tibia_left"}))

    assert (row.twin, row.background, row.left) == (0, 3, 4)


def test_mix_ups_are_bones_called_other_bones_by_share(table: LabelTable) -> None:
    counts = add_up([pair(7, 7, 90), pair(7, 8, 10), pair(3, 7, 6), pair(3, 3, 4), pair(8, 0, 50), pair(0, 8, 50)])

    assert mix_ups(counts, table) == (
        MixUp(reference="sacrum", predicted="hip_left", voxels=6, share=0.6),
        MixUp(reference="hip_left", predicted="hip_right", voxels=10, share=0.1),
    )
