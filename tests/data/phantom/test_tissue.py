import numpy as np
import pytest

from osteon.core.geometry import Grid
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.shapes import Block, ball
from osteon.data.phantom.tissue import RIM_MM, Canvas, Ring, Stack, texture, union_field

BLOCK = Block.whole(Grid((60, 50, 60), (2.0, 2.0, 2.0), (-59.0, -49.0, -59.0)))


def test_painting_lasts_and_is_soft_by_one_voxel() -> None:
    canvas = Canvas(BLOCK, 2.0, air_hu=-1000.0)
    canvas.paint([ball(Frame(), (0.0, 0.0, 0.0), 20.0)], 100.0)

    row = canvas.hu[29, 24]
    assert row[21:39] == pytest.approx(100.0)
    assert row[[0, -1]] == pytest.approx(-1000.0)
    assert ((row > -1000.0) & (row < 100.0)).sum() <= 4


def test_paint_is_cut_to_what_it_lies_within() -> None:
    canvas = Canvas(BLOCK, 2.0, air_hu=0.0)
    below = np.broadcast_to(BLOCK.z, BLOCK.shape)
    canvas.paint([ball(Frame(), (0.0, 0.0, 0.0), 20.0)], 100.0, within=below)

    assert canvas.hu[:30].max() == pytest.approx(100.0)
    assert canvas.hu[31:].max() == 0.0


@pytest.mark.parametrize("square", [0.0, 0.5])
def test_a_stack_is_as_wide_as_its_rings(square: float) -> None:
    rings = (Ring(-90.0, -20.0, 30.0, 30.0), Ring(0.0, -30.0, 40.0, 44.0), Ring(90.0, -20.0, 30.0, 30.0))
    inside = Stack(Frame(), rings, square).distance(BLOCK) < 0

    _, y, x = np.nonzero(inside[29:31])
    assert (BLOCK.x.ravel()[[x.min(), x.max()]] == (-43.0, 43.0)).all()
    assert (BLOCK.y.ravel()[[y.min(), y.max()]] == (-29.0, 39.0)).all()


def test_a_squarer_stack_holds_more() -> None:
    rings = (Ring(-90.0, -30.0, 30.0, 44.0), Ring(90.0, -30.0, 30.0, 44.0))
    round_, square = (int((Stack(Frame(), rings, share).distance(BLOCK) < 0).sum()) for share in (0.0, 1.0))

    assert round_ < square < 1.3 * round_


def test_a_stack_is_closed_and_rounded_at_its_ends() -> None:
    rings = (Ring(-40.0, -30.0, 30.0, 44.0), Ring(40.0, -30.0, 30.0, 44.0))
    area = (Stack(Frame(), rings).distance(BLOCK) < 0).sum(axis=(1, 2))

    assert not area[:10].any()
    assert not area[-10:].any()
    assert 0 < area[10] < area[10 + int(RIM_MM / 2)]


def test_a_stack_turns_with_its_frame() -> None:
    rings = (Ring(-90.0, -20.0, 20.0, 45.0), Ring(90.0, -20.0, 20.0, 45.0))
    plane = (Stack(Frame().yawed(45.0), rings).distance(BLOCK) < 0)[30]
    y, x = np.nonzero(plane)

    assert np.corrcoef(y, x)[0, 1] < -0.5  # the left side, x, swings forward as the back swings left


def test_union_field_is_the_distance_to_the_nearest_limb() -> None:
    limbs = [ball(Frame(), (0.0, 0.0, x), 15.0) for x in (-30.0, 30.0)]
    field = union_field(limbs, BLOCK, margin_mm=40.0, blend_mm=5.0)

    np.testing.assert_allclose(field[:, :, :20], limbs[0].distance(BLOCK)[:, :, :20].clip(max=40.0), atol=1.3)


def test_texture_is_smooth_and_about_one() -> None:
    field = texture(Draws(9), BLOCK, 2.0, (20.0, 10.0, 10.0))

    assert field.shape == BLOCK.shape
    assert field.dtype == np.float32
    assert 0.15 < field.std() < 0.5
    assert np.abs(np.diff(field, axis=0)).mean() < 0.7 * np.abs(np.diff(field, axis=2)).mean()
