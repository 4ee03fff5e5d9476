import numpy as np
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.evaluation.compartments import compare_volumes

TABLE = LabelTable.of({1: "cortical", 2: "trabecular"})
GRID = Grid((4, 10, 10), (2.0, 0.5, 0.5))


def test_volumes_and_their_relative_errors() -> None:
    reference = np.zeros(GRID.shape, np.uint8)
    reference[:, :, :4], reference[:, :, 4:8] = 1, 2
    prediction = reference.copy()
    prediction[:, :, 3] = 2
    prediction[:, :, 8] = 2
    prediction[0, 0, 9] = 7  # of no compartment

    cortical, trabecular, integral = compare_volumes(prediction, reference, GRID, TABLE)

    assert (cortical.name, cortical.predicted_mm3, cortical.reference_mm3) == ("cortical", 60.0, 80.0)
    assert cortical.relative_error == 0.25
    assert (trabecular.name, trabecular.relative_error) == ("trabecular", 0.5)
    assert (integral.name, integral.predicted_mm3, integral.reference_mm3) == ("integral", 180.0, 160.0)
    assert integral.relative_error == 0.125


def test_a_compartment_that_the_reference_lacks_has_no_relative_error() -> None:
    some = np.ones(GRID.shape, np.uint8)

    _, trabecular, integral = compare_volumes(some, some, GRID, TABLE)

    assert (trabecular.predicted_mm3, trabecular.reference_mm3, trabecular.relative_error) == (0.0, 0.0, None)
    assert integral.relative_error == 0


def test_other_grids_are_refused() -> None:
    with pytest.raises(BadInput, match=r"the prediction has shape.*grid-mismatch"):
        compare_volumes(np.zeros((1, 1, 1), np.uint8), np.zeros(GRID.shape, np.uint8), GRID, TABLE)
