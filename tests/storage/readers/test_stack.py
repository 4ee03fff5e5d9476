"""Positions of planes alone: which make a grid, and what is wrong with the others."""

from __future__ import annotations

import numpy as np
import pytest

from osteon.core.errors import BadScan
from osteon.storage.readers.stack import Stack, vector


def stack_at(along: list[float], shifts: list[float] | None = None) -> Stack:
    """Axial planes of 5 x 4 pixels at the given z, shifted to the back (y) by the given lengths."""
    shifts = shifts if shifts is not None else [0.0] * len(along)
    positions = tuple(vector((-10.0, -20.0 + shift, 50.0 + z)) for z, shift in zip(along, shifts, strict=True))
    return Stack(positions, (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.5, 0.7), (5, 4), thickness_mm=3.0)


def code_of(stack: Stack) -> str | None:
    fault = stack.fault()
    return None if fault is None else fault.code


@pytest.mark.parametrize(
    ("along", "code"),
    [
        ([0, 2, 4, 6], None),
        ([0, 2.01, 3.99, 6], None),
        ([0, 2], None),
        ([0, 0.6, 1.3, 1.9, 2.5], None),  # 0.625 mm written with one decimal
        ([0, 2, 6], "missing-slice"),
        ([0, 2, 4, 10, 12], "missing-slice"),
        ([0, 2, 4.6, 6], "uneven-spacing"),
        ([0, 1, 2.5, 4], "uneven-spacing"),
    ],
)
def test_distances(along: list[float], code: str | None) -> None:
    assert code_of(stack_at(along)) == code


@pytest.mark.parametrize(
    ("shifts", "code"),
    [
        ([0, 0.001, 0.002, 0.003], None),
        ([0, 0.5, 1.0, 1.5], "tilted-gantry"),
        ([0, 0.5, 0, 0.5], "shifted-slices"),
    ],
)
def test_shifts(shifts: list[float], code: str | None) -> None:
    assert code_of(stack_at([0, 2, 4, 6], shifts)) == code


def test_gaps_are_listed_with_their_places() -> None:
    fault = stack_at([0, 2, 8, 10, 14]).fault()
    assert fault is not None
    assert fault.what == "3 slices 2 mm apart are missing: 2 after 52.00 mm, 1 after 60.00 mm"
    assert "--allow-gaps" in fault.refusal.remedy


def test_the_angle_of_the_gantry_is_told() -> None:
    fault = stack_at([0, 2, 4], [0, 2 * np.tan(np.radians(15)), 4 * np.tan(np.radians(15))]).fault()
    assert fault is not None
    assert "15.00 degrees" in fault.what


def test_the_grid_of_even_planes() -> None:
    grid = stack_at([0, 2, 4]).grid()
    assert grid.shape == (3, 5, 4)
    assert grid.spacing_mm == (2.0, 0.5, 0.7)
    assert grid.origin_mm == (50.0, -20.0, -10.0)


def test_planes_may_follow_each_other_downwards() -> None:
    stack = Stack.of_affine((3, 5, 4), np.array([[-2, 0, 0, 50], [0, 0.5, 0, -20], [0, 0, 0.7, -10], [0, 0, 0, 1]]))
    assert stack.fault() is None
    assert stack.along_mm.tolist() == [0, 2, 4]
    assert stack.grid().position_mm((2, 0, 0)).tolist() == [46, -20, -10]


def test_a_single_plane_takes_its_thickness() -> None:
    assert stack_at([0]).grid().spacing_mm[0] == 3.0
    with pytest.raises(BadScan):
        Stack.of_affine((1, 5, 4), np.diag([2.0, 0.5, 0.7, 1.0])).grid()


def test_planes_at_one_place_are_named() -> None:
    assert stack_at([0, 2, 2.001, 4]).coincident() == [2]
