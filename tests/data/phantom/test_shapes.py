import numpy as np
import pytest

from osteon.core.geometry import Grid
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.shapes import Block, Drum, Ellipsoid, Plate, Rod, Shape, ball, smooth_union, tube

GRID = Grid((40, 40, 40), (1.0, 1.0, 1.0), (-19.5, -19.5, -19.5))
BLOCK = Block.whole(GRID)
TURNED = Frame((1.0, -2.0, 0.5)).yawed(25.0).pitched(-40.0).moved((0.0, 0.0, 0.0), 1.2)

SHAPES: dict[str, Shape] = {
    "rod": Rod((-6.0, -3.0, 2.0), (8.0, 4.0, -1.0), 5.0, 3.0),
    "flat rod": Rod((-6.0, 0.0, 0.0), (6.0, 0.0, 0.0), 8.0, 8.0, thin=(0.0, 1.0, 0.0), flatness=2.0),
    "ellipsoid": Ellipsoid(TURNED, (6.0, 9.0, 11.0)),
    "drum": Drum(TURNED, (6.0, 8.0, 10.0), waist=0.1, rim=2.0, hollow=1.0),
    "plate": Plate(TURNED, ((-9.0, -9.0), (9.0, -9.0), (9.0, 9.0), (-9.0, 9.0)), (0.0,) * 6, 2.5, 1.0),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_shape_lies_in_its_box(shape: Shape) -> None:
    inside = np.argwhere(shape.distance(BLOCK) < 0) + np.array(GRID.origin_mm)

    assert len(inside) > 200
    assert (inside.min(axis=0) >= np.array(shape.box[0]) - 1e-3).all()
    assert (inside.max(axis=0) <= np.array(shape.box[1]) + 1e-3).all()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_distances_are_millimetres_near_the_surface(shape: Shape) -> None:
    """The gradient of a distance has length 1: a wall of 2 mm is 2 mm thick."""
    distance = shape.distance(BLOCK)
    slope = np.sqrt(sum(np.square(part) for part in np.gradient(distance)))
    near = np.abs(distance) < 0.7

    assert distance.dtype == np.float32
    assert abs(np.median(slope[near]) - 1.0) < 0.1


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_part_of_the_grid_gives_the_same_distances(shape: Shape) -> None:
    part = BLOCK.around(shape.box, 1.0)
    assert part is not None

    np.testing.assert_array_equal(shape.distance(part), shape.distance(BLOCK)[part.where])


def test_volumes_are_those_of_geometry() -> None:
    volumes = {name: int((shape.distance(BLOCK) < 0).sum()) for name, shape in SHAPES.items()}

    assert volumes["ellipsoid"] == pytest.approx(4 / 3 * np.pi * 6 * 9 * 11 * 1.2**3, rel=0.02)
    assert volumes["flat rod"] == pytest.approx(np.pi * 8 * 4 * 12 + 4 / 3 * np.pi * 8 * 8 * 4, rel=0.03)
    assert volumes["plate"] == pytest.approx((20 * 20 * 5 - 80 * (2 - np.pi / 2) * 2.5**2) * 1.2**3, rel=0.04)


def test_a_flat_rod_is_thin_across_its_vector() -> None:
    z, y, x = np.nonzero(SHAPES["flat rod"].distance(BLOCK) < 0)

    assert np.ptp(y) + 1 == pytest.approx(8, abs=1)
    assert np.ptp(x) + 1 == pytest.approx(16, abs=1)
    assert np.ptp(z) + 1 == pytest.approx(28, abs=1)


def test_a_bulging_plate_follows_its_surface() -> None:
    bowl = Plate(Frame(), ((-12.0, -12.0), (12.0, -12.0), (12.0, 12.0), (-12.0, 12.0)), (1.0, 0, 0, 400.0, 0, 0), 2.0)
    inside = bowl.distance(BLOCK) < 0

    middle = [float(np.nonzero(inside[z, 20])[0].mean()) - 19.5 for z in (20, 30)]
    assert middle == pytest.approx([1.0, 1.0 + 4.0 * 1.05**2], abs=0.6)


def test_a_tube_is_one_chain_in_its_frames_millimetres() -> None:
    rods = tube(Frame((0.0, 0.0, 1.0), scale=2.0), [(0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (2.0, 0.0, 0.0)], [1.0, 2.0, 3.0])

    assert rods == [
        Rod((0.0, 0.0, 1.0), (2.0, 0.0, 1.0), 2.0, 4.0, (0.0, 0.0, 1.0)),
        Rod((2.0, 0.0, 1.0), (4.0, 0.0, 1.0), 4.0, 6.0, (0.0, 0.0, 1.0), continues=True),
    ]


def test_nothing_of_the_grid_lies_around_a_far_box() -> None:
    assert BLOCK.around(ball(Frame(), (100.0, 0.0, 0.0), 5.0).box, 7.0) is None


def test_a_smooth_union_holds_both_and_fills_the_groove_between() -> None:
    a = ball(Frame(), (0.0, 0.0, -5.0), 6.0).distance(BLOCK)
    b = ball(Frame(), (0.0, 0.0, 5.0), 6.0).distance(BLOCK)
    union, plain = smooth_union(a, b, 4.0), np.minimum(a, b)

    assert (union <= plain).all()
    assert ((union < 0) & (plain >= 0))[:, :, 18:22].any()
    np.testing.assert_array_equal(union[np.abs(a - b) > 4.0], plain[np.abs(a - b) > 4.0])
