"""Discs found by the outline of a spine."""

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.geometry import Vector3
from osteon.inference.discs import find_discs, in_body, middle_of

PITCH_MM, DISC_MM = 32.0, 7.0


def spine(count: int, spacing_mm: Vector3, *, lean: float = 0.0, filled: float = 0.6) -> npt.NDArray[np.bool_]:
    """Round vertebrae, ``lean`` mm to the back for each mm up; at a disc so much of the width is called bone, too."""
    planes = int(count * PITCH_MM / spacing_mm[0])
    z, y, x = (
        (np.arange(size) * step).reshape(shape)
        for size, step, shape in zip((planes, 60, 50), spacing_mm, ((-1, 1, 1), (1, -1, 1), (1, 1, -1)), strict=True)
    )
    is_disc = z % PITCH_MM >= PITCH_MM - DISC_MM
    centre = (60 * spacing_mm[1] / 3 + lean * z, 50 * spacing_mm[2] / 2)
    radius = np.where(is_disc, 20 * filled, 20.0)
    return np.asarray(np.hypot(y - centre[0], x - centre[1]) < radius)


@pytest.mark.parametrize("spacing_mm", [(3.0, 3.0, 3.0), (1.5, 2.0, 2.0)])
@pytest.mark.parametrize("lean", [0.0, 0.3])
def test_between_each_two_vertebrae_lies_one(spacing_mm: Vector3, lean: float) -> None:
    bone = spine(6, spacing_mm, lean=lean)
    found_mm = find_discs(bone, middle_of(bone, spacing_mm), spacing_mm) * spacing_mm[0]
    expected_mm = PITCH_MM * np.arange(1, 6) - DISC_MM / 2
    np.testing.assert_allclose(found_mm, expected_mm, atol=3.0)


def test_a_spine_that_is_nowhere_narrow_has_none() -> None:
    bone = spine(4, (3.0, 3.0, 3.0), filled=1.0)
    assert len(find_discs(bone, middle_of(bone, (3.0, 3.0, 3.0)), (3.0, 3.0, 3.0))) == 0


def test_a_dent_in_a_vertebra_is_none() -> None:
    bone = spine(6, (3.0, 3.0, 3.0))
    dent = int((2 * PITCH_MM + 10) / 3)
    bone[dent : dent + 1, :20] = False
    assert len(find_discs(bone, middle_of(bone, (3.0, 3.0, 3.0)), (3.0, 3.0, 3.0))) == 5


def test_the_middle_follows_the_spine() -> None:
    spacing_mm = (3.0, 3.0, 3.0)
    bone = spine(6, spacing_mm, lean=0.3)
    bone[30:34, 50:, 23:27] = True  # a process
    middle_mm = middle_of(bone, spacing_mm)
    np.testing.assert_allclose(middle_mm[15:50, 0], 60 + 0.3 * 3 * np.arange(15, 50), atol=6)
    z, y, x = np.nonzero(bone[30:34])
    near = in_body((z + 30, y, x), middle_mm, spacing_mm)
    assert near[y < 38].all()
    assert not near[y >= 50].any()
