import numpy as np
import pytest

from osteon.data.phantom.person import Person
from osteon.data.synthesis.proportions import Proportions


def heights(parts: Proportions, z_mm: list[float], x_mm: float = 0.0) -> np.ndarray:
    """Heights as drawn, in the body's own millimetres."""
    z = np.array(z_mm, dtype=np.float32)
    return z + parts.shift(z, np.full_like(z, x_mm))


@pytest.mark.parametrize("height_mm", [50.0, 240.0, 643.5])
def test_the_ends_and_the_middle_of_the_body_stay_its_ends_and_middle(height_mm: float) -> None:
    for case in range(8):
        parts = Proportions.of(Person(1, case), height_mm)
        low, high = parts.ends_mm
        assert heights(parts, [low, 0.0, high]) == pytest.approx([-height_mm / 2, 0.0, height_mm / 2], abs=1e-3)


def test_each_part_is_as_long_as_it_was_drawn() -> None:
    parts = Proportions.of(Person(1, 0), 300.0)

    assert len(parts.shares) == 3
    for start, length, share, own in zip(parts.starts_mm, parts.lengths_mm, parts.shares, (120, 120, 60), strict=True):
        assert length == pytest.approx(share * own)
        assert np.diff(heights(parts, [start, start + length])) == pytest.approx(own, abs=1e-3)


def test_beyond_its_ends_nothing_is_stretched() -> None:
    parts = Proportions.of(Person(1, 0), 300.0)
    low, high = parts.ends_mm
    assert heights(parts, [low - 20.0, high + 20.0]) == pytest.approx([-170.0, 170.0], abs=1e-3)


def test_pelvis_and_spine_differ_against_each_other_as_people_do() -> None:
    ratios = [parts.shares[1] / parts.shares[2] for parts in (Proportions.of(Person(3, k), 640.0) for k in range(200))]
    assert min(ratios) < 0.75
    assert max(ratios) > 1.33


def test_what_is_beside_the_spine_slides_along_it_to_both_sides_alike() -> None:
    slides = []
    for case in range(40):
        parts = Proportions.of(Person(2, case), 600.0)
        left, middle, right = (heights(parts, [parts.starts_mm[0] - 50.0], x)[0] for x in (-120.0, 0.0, 120.0))
        assert left == right
        assert left - middle == pytest.approx(parts.slide_mm, abs=1e-3)
        slides.append(parts.slide_mm)
    assert min(slides) < -20.0
    assert max(slides) > 20.0
