"""Chains of steps: where voxels go, in patient millimetres, and back."""

import numpy as np
import pytest
from pydantic import TypeAdapter

from osteon.core.chain import Chain, Crop, Derivation, Mirror, Resample, Rotate
from osteon.core.geometry import Grid, Matrix9

SOURCE = Grid((10, 12, 14), (2.0, 1.5, 0.5), (5.0, -7.0, 11.0))
COS, SIN = np.cos(0.3), np.sin(0.3)
TILT: Matrix9 = (COS, -SIN, 0.0, SIN, COS, 0.0, 0.0, 0.0, 1.0)
OBLIQUE = Grid((10, 12, 14), (2.0, 1.5, 0.5), (5.0, -7.0, 11.0), TILT)
EVERYTHING = Chain(
    (Crop((1, 2, 3), (8, 9, 10)), Mirror(), Rotate(TILT, (1.0, 2.0, 3.0)), Resample(Grid((6, 6, 6), (1.0, 2.0, 3.0))))
)


def test_cropping_moves_no_voxel() -> None:
    chain = Chain((Crop((1, 2, 3), (4, 5, 6)),))
    grid = chain.grid_of(SOURCE)
    assert grid.shape == (4, 5, 6)
    np.testing.assert_allclose(grid.position_mm([0, 0, 0]), SOURCE.position_mm([1, 2, 3]))
    np.testing.assert_allclose(chain.index_map(SOURCE) @ [0, 0, 0, 1], [1, 2, 3, 1])


@pytest.mark.parametrize("source", [SOURCE, OBLIQUE], ids=["upright", "oblique"])
def test_mirroring_sends_patient_left_to_right_and_keeps_the_order(source: Grid) -> None:
    chain = Chain((Mirror(),))
    grid = chain.grid_of(source)
    assert grid.shape == source.shape
    z, y, x = 4, 7, 2
    before = source.position_mm([z, y, x])
    np.testing.assert_allclose(grid.position_mm([z, y, 13 - x]), before * [1, 1, -1])
    np.testing.assert_allclose(chain.index_map(source) @ [z, y, 13 - x, 1], [z, y, x, 1], atol=1e-9)
    assert np.linalg.det(np.reshape(grid.direction, (3, 3))) == pytest.approx(1)
    assert chain.is_mirrored
    assert not chain.then(Mirror()).is_mirrored


def test_a_second_mirror_undoes_the_first() -> None:
    assert Chain((Mirror(), Mirror())).grid_of(OBLIQUE).matches(OBLIQUE, 1e-9)


def test_turning_keeps_the_centre_and_every_distance() -> None:
    step = Rotate(TILT, (1.0, 2.0, 3.0))
    np.testing.assert_allclose(step.affine @ [1, 2, 3, 1], [1, 2, 3, 1])
    grid = step.apply(SOURCE)
    here, there = grid.position_mm([0, 0, 0]), grid.position_mm([9, 3, 1])
    before = SOURCE.position_mm([9, 3, 1]) - SOURCE.position_mm([0, 0, 0])
    assert np.linalg.norm(there - here) == pytest.approx(np.linalg.norm(before))
    np.testing.assert_allclose(Chain((step,)).index_map(SOURCE), np.eye(4), atol=1e-9)


def test_the_affine_of_a_chain_takes_a_point_of_the_scan_to_the_same_point_of_the_derived_volume() -> None:
    derived = EVERYTHING.grid_of(SOURCE)
    index = np.array([2.0, 3.0, 1.0])
    on_source = EVERYTHING.index_map(SOURCE) @ [*index, 1]
    moved = EVERYTHING.affine @ [*SOURCE.position_mm(on_source[:3]), 1]
    np.testing.assert_allclose(moved[:3], derived.position_mm(index))


def test_a_pyramid_level_is_indexed_by_its_own_voxels() -> None:
    chain = Chain((Crop((2, 2, 2), (4, 4, 4)),))
    np.testing.assert_allclose(chain.index_map(SOURCE, SOURCE.pooled(1)) @ [0, 0, 0, 1], [0.75, 0.75, 0.75, 1])


def test_a_derivation_comes_back_from_json_as_it_was() -> None:
    kinds = TypeAdapter(Derivation)
    derivation = Derivation("a", OBLIQUE, EVERYTHING, "abc")
    assert kinds.validate_json(kinds.dump_json(derivation)) == derivation
