import numpy as np
import pytest

from osteon.data.phantom.draws import Draws
from osteon.data.phantom.person import Person
from osteon.data.synthesis.exposure import SIXTEENTHS, Exposure

CUBE = (3.0, 3.0, 3.0)


@pytest.mark.parametrize("coarse", [0, 1, 2])
def test_noise_has_its_deviation_whatever_its_grain(coarse: int) -> None:
    water = np.zeros((16, 60, 60), np.int32)
    hu = Exposure(3.0, 0.0, 14.0, coarse).take(water, CUBE, Draws(1)).astype(np.float64)

    assert abs(hu.mean()) < 1.0
    assert hu.std() == pytest.approx(14.0, rel=0.08)
    in_plane = np.corrcoef(hu[:, 1:].ravel(), hu[:, :-1].ravel())[0, 1]
    assert in_plane == pytest.approx((0.0, 2 / 3, 0.8)[coarse], abs=0.08)


@pytest.mark.parametrize(("slice_mm", "spacing_mm"), [(5.0, 3.0), (6.0, 1.0)])
def test_a_thick_slice_blurs_by_its_thickness(slice_mm: float, spacing_mm: float) -> None:
    """The variance of a box of ``slice_mm`` is its square over 12; the voxels themselves are boxes, too."""
    fine = np.zeros((41, 3, 3), np.int32)
    fine[20] = 2000 * SIXTEENTHS
    line = Exposure(slice_mm, 0.0, 0.0, 0).take(fine, (spacing_mm, 3.0, 3.0), Draws(1))[:, 1, 1]

    variance = (line * ((np.arange(41) - 20) * spacing_mm) ** 2).sum() / line.sum()
    assert variance == pytest.approx((slice_mm**2 - spacing_mm**2) / 12, rel=0.12)
    assert line.sum() == pytest.approx(2000, rel=0.02)


def test_thin_slices_are_not_blurred() -> None:
    fine = np.zeros((9, 3, 3), np.int32)
    fine[4] = 1000 * SIXTEENTHS

    assert Exposure(1.0, 0.0, 0.0, 0).take(fine, CUBE, Draws(1))[:, 1, 1].tolist() == [0] * 4 + [1000] + [0] * 4


def test_slices_with_metal_are_noisier() -> None:
    fine = np.zeros((2, 60, 60), np.int32)
    fine[1, 0, 0] = 5000 * SIXTEENTHS
    hu = Exposure(3.0, 0.0, 10.0, 1).take(fine, CUBE, Draws(1))[:, 1:].astype(np.float64)

    assert hu[1].std() == pytest.approx(3 * hu[0].std(), rel=0.2)


def test_exposures_differ() -> None:
    drawn = [Exposure.of(Person(7, case)) for case in range(40)]

    assert {each.coarse for each in drawn} == {0, 1, 2}
    assert all(5.0 <= each.noise_hu <= 30.0 for each in drawn)
    assert np.median([each.noise_hu for each in drawn]) < 17.0
