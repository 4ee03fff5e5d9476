"""Ribs numbered one after the other, side by side, from the vertebrae they hang on."""

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.labels import BONES, LabelTable
from osteon.inference.count_ribs import count_ribs

Ids = npt.NDArray[np.uint8]

SPACING_MM = (3.0, 3.0, 3.0)
PITCH, HEIGHT = 9, 3  # of ribs, in voxels
ANGLE = np.hypot(*np.mgrid[-30:30, -40:40]), np.arctan2(*np.mgrid[-30:30, -40:40])  # LPS: y back, x left


def cage(left: dict[int, int], right: dict[int, int], vertebrae: dict[int, int], planes: slice = slice(None)) -> Ids:
    """Slanted half rings, the 12th lowest: of each rib what it is called, and of each vertebra; 0 is not there."""
    radius, angle = ANGLE
    labels = np.zeros((130, 60, 80), dtype=np.uint8)
    for side, names in (("left", left), ("right", right)):
        sweep = np.abs(angle - np.pi / 2)  # from the back
        for rib, name in names.items():
            column = (np.abs(radius - 24) < 2) & (sweep < (1.0 if rib > 10 else 2.4)) & (sweep > 0.25)
            column &= (np.mgrid[-30:30, -40:40][1] > 0) == (side == "left")
            for y, x in np.argwhere(column):
                z = 10 + PITCH * (12 - rib) + 8 - round(3 * sweep[y, x])
                labels[z : z + HEIGHT, y, x] = BONES.ids[f"rib_{side}_{name}"] if name else 0
    for vertebra, name in vertebrae.items():
        z = 10 + PITCH * (12 - vertebra) + 3
        labels[z : z + 8, 48:58, 35:45] = BONES.ids[f"vertebrae_T{name}"]
    return labels[planes]


def straight(*numbers: int) -> dict[int, int]:
    return {number: number for number in numbers}


ALL = straight(*range(6, 13))


def counted(labels: Ids, table: LabelTable = BONES) -> Ids:
    found = labels.copy()
    assert count_ribs(found, table, SPACING_MM) is found
    return found


def test_ribs_that_are_numbered_right_stay() -> None:
    labels = cage(ALL, ALL, ALL)
    np.testing.assert_array_equal(counted(labels), labels)


def test_ribs_take_the_number_of_the_vertebra_they_hang_on() -> None:
    slipped = {rib: rib - 1 for rib in ALL}
    np.testing.assert_array_equal(counted(cage(slipped, ALL, ALL)), cage(ALL, ALL, ALL))


def test_a_rib_is_one_whatever_its_parts_are_called() -> None:
    labels = cage(ALL, ALL, ALL)
    part = labels[:, :40]
    part[part == BONES.ids["rib_right_8"]] = BONES.ids["rib_right_7"]
    np.testing.assert_array_equal(counted(labels), cage(ALL, ALL, ALL))


def test_without_vertebrae_most_voxels_decide() -> None:
    slipped = ALL | {9: 8, 8: 7}
    np.testing.assert_array_equal(counted(cage(slipped, ALL, {})), cage(ALL, ALL, {}))


def test_a_rib_that_was_not_found_leaves_its_number_free() -> None:
    labels = cage(ALL | {9: 0}, ALL, straight(11, 12))
    np.testing.assert_array_equal(counted(labels), labels)


def test_ribs_that_nothing_joins_to_the_short_ones_follow_them() -> None:
    slipped = {rib: rib - 1 for rib in ALL if rib < 11} | straight(11, 12)
    beside = np.abs(ANGLE[1] - np.pi / 2) > 1.2  # of the short ribs nothing is there

    def shown(names: dict[int, int]) -> Ids:
        labels = cage(ALL, names, straight(12))
        is_upper = np.isin(labels, [BONES.ids[f"rib_right_{number}"] for number in range(1, 11)])
        labels[is_upper & ~beside] = 0
        return labels

    np.testing.assert_array_equal(counted(shown(slipped)), shown(ALL))


def test_a_few_voxels_near_a_vertebra_do_not_outvote_names() -> None:
    labels = cage(ALL, ALL, {})
    at = np.argwhere(labels == BONES.ids["rib_left_9"])[0]
    labels[at[0] - 3, at[1] - 1, at[2]] = BONES.ids["vertebrae_T7"]
    np.testing.assert_array_equal(counted(labels), labels)


def test_ribs_that_the_scan_cuts_off_are_counted() -> None:
    labels = cage(ALL, ALL, ALL, slice(0, 58))
    np.testing.assert_array_equal(counted(labels), labels)


def test_what_the_model_cannot_name_becomes_background() -> None:
    table = BONES.subset(id_ for id_, name in BONES.names.items() if name != "rib_left_6")
    np.testing.assert_array_equal(counted(cage(ALL, ALL, ALL), table), cage(ALL | {6: 0}, ALL, ALL))


def test_what_comes_to_be_a_thirteenth_keeps_its_name() -> None:
    labels = cage(straight(11, 12), ALL, {})
    labels[labels == BONES.ids["rib_left_11"]] = BONES.ids["rib_left_12"]
    labels = np.where(labels == 0, cage({10: 11, 9: 10, 8: 9, 7: 8, 6: 7}, {}, {}), labels)
    np.testing.assert_array_equal(counted(labels), labels)


@pytest.mark.parametrize("ribs", [{}, straight(9)])
def test_nothing_to_count(ribs: dict[int, int]) -> None:
    np.testing.assert_array_equal(counted(cage(ribs, {}, {})), cage(ribs, {}, {}))
