"""Vertebrae numbered from the sacrum up: slipped, split, missing, cut off."""

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.labels import BONES, LabelTable
from osteon.inference.count_vertebrae import count_vertebrae

Ids = npt.NDArray[np.uint8]

SPACING_MM = (3.0, 3.0, 3.0)
PITCH = 11  # voxels from a vertebra to the next, which touch by their processes
UP = ("sacrum", "L5", "L4", "L3", "L2", "L1", "T12", "T11", "T10")


def id_of(name: str) -> int:
    return BONES.ids[name if name == "sacrum" else f"vertebrae_{name}"]


def spine(*names: str) -> Ids:
    """A vertebra per name from the second plane up; a name of two (``L3+L2``) is one that a network called both."""
    labels = np.zeros((PITCH * len(names) + 3, 30, 24), dtype=np.uint8)
    for place, name in enumerate(names):
        z = 2 + PITCH * place
        first, _, second = name.partition("+")
        if not first:
            continue
        labels[z : z + 9, 4:16, 6:18] = id_of(first)
        labels[z : z + 11, 18:22, 8:16] = id_of(first)  # the processes, down to the next one's
        labels[z : z + 9, 16:18, 10:12] = id_of(first)
        if second:
            labels[z + 2 : z + 11, 4:22, 6:18][labels[z + 2 : z + 11, 4:22, 6:18] != 0] = id_of(second)
    return labels


def counted(labels: Ids, table: LabelTable = BONES) -> Ids:
    found = labels.copy()
    assert count_vertebrae(found, table, SPACING_MM) is found
    return found


def test_a_spine_that_is_numbered_right_stays() -> None:
    np.testing.assert_array_equal(counted(spine(*UP)), spine(*UP))


def test_where_names_slip_they_follow_one_another_from_the_sacrum() -> None:
    slipped = spine("sacrum", "L5", "L4", "L3+L2", "L1", "T12", "T11", "T10", "T9")
    np.testing.assert_array_equal(counted(slipped), spine(*UP))


def test_a_name_that_two_vertebrae_share_is_parted_at_the_disc() -> None:
    """L5 and L4 are called L5, L4 and L3, and what is above slips by one."""
    labels, right = (
        spine("sacrum", "L5", "L4", "L2", "L1", "T12", "T11"),
        spine("sacrum", "L5", "L4", "L3", "L2", "L1", "T12"),
    )
    first = 2 + PITCH
    for name, start, stop in (("L5", 0, 6), ("L4", 6, 15), ("L3", 15, 22)):
        part = labels[first + start : first + stop]
        part[part != 0] = id_of(name)
    np.testing.assert_array_equal(counted(labels), right)


def test_without_a_sacrum_most_voxels_decide() -> None:
    np.testing.assert_array_equal(counted(spine("L4", "L3", "L2", "T12", "T11")), spine("L4", "L3", "L2", "L1", "T12"))


def test_a_vertebra_that_was_not_found_leaves_its_number_free() -> None:
    missing = spine("sacrum", "L5", "L4", "", "L2", "L1", "T12")
    np.testing.assert_array_equal(counted(missing), missing)


def test_a_vertebra_that_the_scan_cuts_off_is_counted() -> None:
    labels = spine(*UP)[: 2 + PITCH * 8 + 3]
    np.testing.assert_array_equal(counted(labels), labels)


def test_what_the_model_cannot_name_becomes_background() -> None:
    table = BONES.subset(id_of(name) for name in UP[:6])
    found = counted(spine("sacrum", "L5", "L4", "L3", "L2", "L1", "L2"), table)
    np.testing.assert_array_equal(found, spine("sacrum", "L5", "L4", "L3", "L2", "L1", ""))


def test_a_spot_far_away_and_other_bones_are_left_alone() -> None:
    labels = np.pad(spine(*UP), ((40, 0), (0, 0), (0, 0)))
    labels[2:8, 2:8, 2:8] = id_of("T10")
    labels[60:70, 24:28, 2:6] = BONES.ids["hip_left"]
    np.testing.assert_array_equal(counted(labels), labels)


@pytest.mark.parametrize("names", [(), ("L3",), ("sacrum",)])
def test_nothing_to_count(names: tuple[str, ...]) -> None:
    np.testing.assert_array_equal(counted(spine(*names)), spine(*names))


def test_of_a_vertebra_that_fills_the_scan_nothing_can_be_told() -> None:
    labels = spine("L3")[5:8]
    np.testing.assert_array_equal(counted(labels), labels)
