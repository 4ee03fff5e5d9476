from osteon.core.geometry import Grid
from osteon.data.phantom.person import Person
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.flesh import Flesh
from osteon.data.synthesis.pose import Pose
from osteon.data.synthesis.view import box_of, draw_spacing, field_of_view


def _views(anatomy: Anatomy) -> list[tuple[Pose, Grid]]:
    poses = [(Person(8, case), Pose.of(Person(8, case), anatomy)) for case in range(24)]
    spacing = (6.0, 6.0, 6.0)
    return [(pose, field_of_view(each, pose, Flesh.of(each, anatomy, pose), spacing)) for each, pose in poses]


def test_scans_show_parts_and_sometimes_all_but_never_more_than_there_is(anatomy: Anatomy) -> None:
    shares = []
    for pose, grid in _views(anatomy):
        (bottom, top), (first, last) = ((corner[0] for corner in box) for box in (pose.box, box_of(grid)))
        assert first >= bottom - 6.0
        assert last <= top + 6.0
        shares.append((last - first) / (top - bottom))

    assert min(shares) < 0.6
    assert max(shares) > 0.95


def test_spacing_is_what_was_asked_for(anatomy: Anatomy) -> None:
    assert {grid.spacing_mm for _, grid in _views(anatomy)} == {(6.0, 6.0, 6.0)}


def test_drawn_spacings_are_those_of_scans() -> None:
    for case in range(50):
        z, y, x = draw_spacing(Person(8, case))
        assert 1.0 <= y == x <= 2.0
        assert y <= z <= 5.0
