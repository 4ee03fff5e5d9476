import math

import numpy as np
import pytest

from osteon.core.geometry import Vector3
from osteon.data.phantom.frame import Frame, cosine, frame_of, sine, spline


@pytest.mark.parametrize("degrees", [-170.0, -90.0, -3.5, 0.0, 30.0, 89.0, 126.0, 180.0])
def test_sine_and_cosine_are_those_of_the_library_to_the_last_digits(degrees: float) -> None:
    assert sine(degrees) == pytest.approx(math.sin(math.radians(degrees)), abs=1e-14)
    assert cosine(degrees) == pytest.approx(math.cos(math.radians(degrees)), abs=1e-14)


def test_a_frame_maps_there_and_back() -> None:
    frame = Frame((5.0, -2.0, 9.0)).yawed(20.0).leaned(-7.0).pitched(33.0).moved((1.0, 2.0, 3.0), 1.1)

    assert frame.local(frame.at((4.0, -6.0, 8.0))) == pytest.approx((4.0, -6.0, 8.0))
    assert frame.at((0.0, 0.0, 0.0)) == frame.origin


@pytest.mark.parametrize(
    ("turned", "tip"),
    [
        (Frame().pitched(90.0), (0.0, -1.0, 0.0)),  # up comes to lie forward
        (Frame().leaned(90.0), (0.0, 0.0, 1.0)),  # up comes to lie left
        (Frame().yawed(90.0), (1.0, 0.0, 0.0)),  # up stays
    ],
)
def test_turns_go_the_way_they_say(turned: Frame, tip: Vector3) -> None:
    assert turned.at((1.0, 0.0, 0.0)) == pytest.approx(tip)


def test_yaw_swings_the_back_to_the_left() -> None:
    assert Frame().yawed(90.0).at((0.0, 1.0, 0.0)) == pytest.approx((0.0, 0.0, 1.0))


def test_the_mirrored_frame_is_the_other_half_of_the_body() -> None:
    frame = Frame((1.0, 2.0, 3.0), scale=2.0)

    assert frame.mirrored().at((1.0, 1.0, 1.0)) == frame.at((1.0, 1.0, -1.0))


def test_frame_of_two_directions_is_right_angled_and_keeps_the_first() -> None:
    frame = frame_of((0.0, 0.0, 0.0), (2.0, 0.0, 0.0), (1.0, 3.0, 0.0))
    axes = np.reshape(frame.axes, (3, 3))

    np.testing.assert_allclose(axes, np.eye(3), atol=1e-12)


def test_frame_of_oblique_directions_is_orthonormal() -> None:
    axes = np.reshape(frame_of((0.0, 0.0, 0.0), (1.0, 2.0, -3.0), (0.5, 0.1, 1.0)).axes, (3, 3))

    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(axes) == pytest.approx(1.0)


def test_a_spline_passes_through_its_points_and_keeps_straight_lines_straight() -> None:
    points: list[Vector3] = [(0.0, 0.0, 0.0), (1.0, 2.0, 0.0), (2.0, 4.0, 0.0), (3.0, 6.0, 0.0)]
    curve = spline(points, 4)

    assert len(curve) == 13
    np.testing.assert_allclose(curve[::4], points)
    assert all(y == pytest.approx(2 * z) for z, y, _ in curve)
