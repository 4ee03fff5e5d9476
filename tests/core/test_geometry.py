"""Grids: affines, ITK's order, reorientation, pooling, cropping; each against numbers made by hand or by SimpleITK."""

import itertools

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from osteon.core.errors import BadScan
from osteon.core.geometry import Grid, Reorientation

OBLIQUE = np.array([[0.0, 0.0, 2.0, 5.0], [0.0, -3.0, 0.0, 6.0], [4.0, 0.0, 0.0, 7.0], [0.0, 0.0, 0.0, 1.0]])


def test_affine_round_trip() -> None:
    grid = Grid.from_affine((3, 4, 5), OBLIQUE)
    assert grid.spacing_mm == (4.0, 3.0, 2.0)
    np.testing.assert_allclose(grid.affine, OBLIQUE)
    np.testing.assert_allclose(grid.index_of(grid.position_mm([1, 2, 3])), [1, 2, 3])


def test_positions_equal_itk() -> None:
    image = sitk.Image([5, 6, 7], sitk.sitkInt16)
    image.SetSpacing((0.5, 1.5, 2.5))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection((0, -1, 0, 1, 0, 0, 0, 0, 1))
    grid = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert grid.shape == (7, 6, 5)
    np.testing.assert_allclose(grid.position_mm([4, 3, 2])[::-1], image.TransformIndexToPhysicalPoint((2, 3, 4)))
    spacing, origin, direction = grid.to_itk()
    assert (spacing, origin, direction) == (image.GetSpacing(), image.GetOrigin(), image.GetDirection())


@pytest.mark.parametrize(
    ("affine", "code"),
    [
        (np.diag([1.0, 0.0, 1.0, 1.0]), "singular-affine"),
        (np.diag([1.0, np.nan, 1.0, 1.0]), "singular-affine"),
        (np.array([[1.0, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "sheared-affine"),
    ],
)
def test_impossible_affines_are_refused(affine: np.ndarray, code: str) -> None:
    with pytest.raises(BadScan) as caught:
        Grid.from_affine((2, 2, 2), affine)
    assert caught.value.code == code


@given(
    axes=st.sampled_from(list(itertools.permutations(range(3)))),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_reorientation_moves_every_voxel_with_its_position(
    axes: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    """Whatever the storage order, LPS order puts the same value at the same place, and back again."""
    direction = np.zeros((3, 3))
    for k in range(3):
        direction[axes[k], k] = -1.0 if flips[k] else 1.0
    affine = np.eye(4)
    affine[:3, :3] = direction * np.array([1.0, 2.0, 3.0])
    source = Grid.from_affine((2, 3, 4), affine)
    array = np.arange(24).reshape(2, 3, 4)

    turn = Reorientation.to_lps(source)
    grid, turned = turn.apply_grid(source), turn.apply(array)

    assert turned.shape == grid.shape
    np.testing.assert_allclose(np.reshape(grid.direction, (3, 3)), np.eye(3), atol=1e-12)
    for index in np.ndindex(2, 3, 4):
        z, y, x = np.rint(grid.index_of(source.position_mm(index))).astype(int)
        assert turned[z, y, x] == array[index]
    np.testing.assert_array_equal(turn.invert(turned), array)


def test_pooled_grid_centres_the_first_block() -> None:
    grid = Grid((5, 4, 4), (2.0, 1.0, 1.0), (10.0, 0.0, 0.0)).pooled(2)
    assert grid.shape == (2, 1, 1)
    assert grid.spacing_mm == (8.0, 4.0, 4.0)
    assert grid.origin_mm == (13.0, 1.5, 1.5)


def test_resampled_grid_keeps_the_field_of_view() -> None:
    grid = Grid((10, 10, 10), (3.0, 1.0, 1.0)).resampled((1.5, 2.0, 1.0))
    assert grid.shape == (20, 5, 10)
    assert grid.origin_mm == (-0.75, 0.5, 0.0)


def test_crop_may_begin_outside() -> None:
    assert Grid((4, 4, 4), (1.0, 2.0, 3.0)).crop((-1, 1, 0), (2, 2, 2)).origin_mm == (-1.0, 2.0, 0.0)


def test_grids_match_within_a_tolerance() -> None:
    grid = Grid((4, 4, 4))
    assert grid.matches(Grid((4, 4, 4), origin_mm=(0.005, 0.0, 0.0)))
    assert not grid.matches(Grid((4, 4, 4), origin_mm=(0.05, 0.0, 0.0)))
    assert not grid.matches(Grid((4, 4, 5)))
