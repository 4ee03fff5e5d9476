import numpy as np
import numpy.typing as npt

from osteon.core.labels import table_for
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.hull import Hull, between

CELL_MM = 6.0


def _rod(name: str) -> Hull:
    table = table_for([name])
    ids = np.zeros((20, 41, 41), table.dtype)
    ids[:, 20, 20] = table.ids[name]
    return Hull.round(ids, table, frozenset([name]), CELL_MM)


def _along_x(hull: Hull, z: float) -> npt.NDArray[np.float32]:
    x = np.arange(-10, 52, dtype=np.float32)
    return between(hull.flesh, hull.places(np.full_like(x, z), np.full_like(x, 20.0), x))


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


def _at(field: npt.NDArray[np.float32], hull: Hull, *index: float) -> float:
    z, y, x = (np.array([value], np.float32) for value in index)
    return float(between(field, hull.places(z, y, x))[0])


def test_gaps_between_structures_are_filled(anatomy: Anatomy) -> None:
    assert anatomy.structure[40, 12, 17] == 0  # beside the colon
    assert _at(anatomy.hull.flesh, anatomy.hull, 40, 12, 17) < 0


def test_the_hollow_is_where_organs_are(anatomy: Anatomy) -> None:
    assert _at(anatomy.hull.hollow, anatomy.hull, 36, 10, 27) < 3.0
    assert _at(anatomy.hull.hollow, anatomy.hull, 5, 16, 42) > 100.0
    assert anatomy.hull.chest is None  # a lung is labelled
    assert not anatomy.hull.is_bare


def test_bare_bones_get_a_belly_and_a_chest() -> None:
    """Ribs above, a pelvis below, a spine behind: in front there is flesh, and lungs among the ribs."""
    table = table_for(["rib_left_5", "rib_right_5", "hip_left", "vertebrae_T5", "vertebrae_L3"])
    ids = np.zeros((60, 50, 50), table.dtype)
    ids[:, 38:44, 22:28] = table.ids["vertebrae_L3"]
    ids[40:, 38:44, 22:28] = table.ids["vertebrae_T5"]
    for name, x in (("rib_left_5", 44), ("rib_right_5", 4)):
        ids[40:58:4, 8:40, x : x + 2] = table.ids[name]
    ids[2:8, 8:40, 8:42] = table.ids["hip_left"]
    hull = Hull.round(ids, table, frozenset(table.ids), CELL_MM)

    assert hull.is_bare
    assert _at(hull.flesh, hull, 24, 16, 25) < 0
    assert hull.chest is not None
    assert _at(hull.chest, hull, 50, 20, 25) < 0 < _at(hull.chest, hull, 20, 20, 25)
