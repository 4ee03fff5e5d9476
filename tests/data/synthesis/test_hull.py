import numpy as np
import numpy.typing as npt

from osteon.core.labels import table_for
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.hull import Hull

CELL_MM = 6.0


def _rod(name: str) -> Hull:
    table = table_for([name])
    ids = np.zeros((20, 41, 41), table.dtype)
    ids[:, 20, 20] = table.ids[name]
    return Hull.round(ids, table, frozenset([name]), CELL_MM)


def _along_x(hull: Hull, z: float) -> npt.NDArray[np.float32]:
    x = np.arange(-10, 52, dtype=np.float32)
    return hull.at(np.full_like(x, z), np.full_like(x, 20.0), x)[0]


def test_a_thigh_is_thicker_than_what_lies_on_a_rib() -> None:
    thigh, side = (_along_x(_rod(name), 10.0) for name in ("femur_left", "rib_left_5"))

    assert np.count_nonzero(thigh < 0) * CELL_MM == 2 * 48.0 + CELL_MM
    assert np.count_nonzero(side < 0) * CELL_MM <= 3 * CELL_MM


def test_distance_is_millimetres_from_the_surface() -> None:
    distance = _along_x(_rod("femur_left"), 10.0)

    assert distance[30] < -40.0
    assert np.allclose(np.diff(distance)[:18], -CELL_MM)


def test_flesh_goes_on_where_the_labels_end() -> None:
    hull = _rod("femur_left")

    assert np.allclose(_along_x(hull, 0.0), _along_x(hull, 10.0))
    assert np.allclose(_along_x(hull, -8.0), _along_x(hull, 10.0))


def test_gaps_between_structures_are_filled(anatomy: Anatomy) -> None:
    between = [np.array([value], np.float32) for value in (40.0, 12.0, 17.0)]  # beside the colon

    assert anatomy.structure[40, 12, 17] == 0
    assert anatomy.hull.at(*between)[0][0] < 0


def test_the_hollow_is_where_organs_are(anatomy: Anatomy) -> None:
    colon, thigh = (
        [np.array([value], np.float32) for value in place] for place in ((36.0, 10.0, 27.0), (5.0, 16.0, 42.0))
    )

    assert anatomy.hull.at(*colon)[1][0] < 3.0
    assert anatomy.hull.at(*thigh)[1][0] > 100.0
