import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.inference.compartments import COMPARTMENTS, split_compartments

CORTICAL, TRABECULAR = COMPARTMENTS.ids["cortical"], COMPARTMENTS.ids["trabecular"]
Mask = npt.NDArray[np.bool_]


def box(start: int, stop: int, shape: tuple[int, int, int] = (12, 12, 12)) -> Mask:
    mask = np.zeros(shape, np.bool_)
    mask[start:stop, start:stop, start:stop] = True
    return mask


def test_cortical_is_periosteal_less_endosteal() -> None:
    labels = split_compartments(box(2, 10), box(4, 8))

    assert (labels == CORTICAL).sum() == 8**3 - 4**3
    np.testing.assert_array_equal(labels == TRABECULAR, box(4, 8))
    np.testing.assert_array_equal(labels != 0, box(2, 10))


def test_the_endosteal_contour_gives_way() -> None:
    labels = split_compartments(box(2, 10), box(1, 11))  # larger than the bone

    np.testing.assert_array_equal(labels != 0, box(2, 10))
    np.testing.assert_array_equal(labels == TRABECULAR, box(3, 9))


def test_the_cortex_is_closed_wherever_the_contours_touch() -> None:
    random = np.random.default_rng(0)
    periosteal = np.zeros((14, 14, 14), np.bool_)
    periosteal[1:-1, 1:-1, 1:-1] = random.random((12, 12, 12)) < 0.9

    labels = split_compartments(periosteal, random.random((14, 14, 14)) < 0.9)

    trabecular = labels == TRABECULAR
    assert trabecular.any()
    for axis in range(3):
        for step in (-1, 1):
            assert (np.roll(labels, step, axis)[trabecular] != 0).all()  # no face of it lies bare


def test_marrow_goes_on_beyond_the_end_of_the_scan() -> None:
    shaft = np.zeros((6, 9, 9), np.bool_)
    shaft[:, 1:8, 1:8] = True
    marrow = np.zeros_like(shaft)
    marrow[:, 3:6, 3:6] = True

    np.testing.assert_array_equal(split_compartments(shaft, marrow) == TRABECULAR, marrow)


def test_masks_of_different_grids_are_refused() -> None:
    with pytest.raises(BadInput, match="grid-mismatch"):
        split_compartments(box(2, 10), box(2, 10)[1:])
