import numpy as np
import pytest

from osteon.core.geometry import Grid
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.person import Person
from osteon.data.phantom.scanner import HU_MAX, HU_MIN, Scanner, Table, expose
from osteon.data.phantom.shapes import Block, ball
from osteon.data.phantom.tissue import Canvas

BLOCK = Block.whole(Grid((16, 50, 50), (4.0, 4.0, 4.0), (-30.0, -98.0, -98.0)))


@pytest.mark.parametrize("noise_hu", [8.0, 20.0])
def test_noise_has_its_deviation_and_is_correlated_in_the_plane(noise_hu: float) -> None:
    hu = expose(Canvas(BLOCK, 4.0, air_hu=40.0), Scanner(4, noise_hu), Draws(1)).astype(np.float64)

    assert abs(hu.mean() - 40.0) < 1.0
    assert hu.std() == pytest.approx(noise_hu, rel=0.08)
    assert np.corrcoef(hu[:, 1:].ravel(), hu[:, :-1].ravel())[0, 1] > 0.5
    assert abs(np.corrcoef(hu[1:].ravel(), hu[:-1].ravel())[0, 1]) < 0.1


def test_blur_spreads_a_voxel_and_keeps_its_sum() -> None:
    canvas = Canvas(BLOCK, 4.0, air_hu=0.0)
    canvas.hu[8, 25, 25] = 1600.0
    hu = expose(canvas, Scanner(2, 0.0), Draws(1))

    assert hu[8, 25, 25] == round(1600 * 2 / 4 * 2 / 4 * 4 / 6)
    assert hu[8, 25, 24] == hu[8, 25, 26] == hu[8, 24, 25] == round(1600 * 1 / 4 * 2 / 4 * 4 / 6)
    assert hu[7, 25, 25] == hu[9, 25, 25] == round(1600 * 2 / 4 * 2 / 4 * 1 / 6)
    assert hu.sum() == pytest.approx(1600, abs=27)


def test_hu_are_kept_within_12_bits() -> None:
    canvas = Canvas(BLOCK, 4.0, air_hu=-3000.0)
    canvas.hu[:, 25:] = 9000.0
    hu = expose(canvas, Scanner(2, 8.0), Draws(1))

    assert (hu.min(), hu.max()) == (HU_MIN, HU_MAX)
    assert hu.dtype == np.int16


def test_the_back_lies_on_the_table() -> None:
    skin = ball(Frame(), (0.0, 0.0, 0.0), 60.0).distance(BLOCK)
    table = Table.under(skin, BLOCK)

    pressed = (skin < 0) & (table.distance(BLOCK) < 0)
    assert 0 < pressed.sum() < 0.05 * (skin < 0).sum()
    assert (np.nonzero(pressed)[1] > 25).all()


def test_the_table_is_seen_below_the_body_and_nowhere_else() -> None:
    canvas = Canvas(BLOCK, 4.0, air_hu=-1000.0)
    Table.under(ball(Frame(), (0.0, 0.0, 0.0), 30.0).distance(BLOCK), BLOCK).paint(canvas)

    seen = canvas.hu > -995.0
    assert seen[:, 29:].any(axis=(1, 2)).all()  # 10 mm of the ball, which ends at 30 mm, are pressed in
    assert not seen[:, :28].any()


def test_scanners_differ() -> None:
    scanners = [Scanner.of(Person(2, case)) for case in range(20)]

    assert {scanner.sharpness for scanner in scanners} == {2, 4, 6}
    assert all(8.0 <= scanner.noise_hu < 22.0 for scanner in scanners)
