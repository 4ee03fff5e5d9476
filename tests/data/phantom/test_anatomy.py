import itertools

import numpy as np
import pytest

from osteon.data.phantom.anatomy import Anatomy, lay_out, skeleton
from osteon.data.phantom.case import FIELDS_OF_VIEW
from osteon.data.phantom.person import Person


@pytest.fixture(scope="module", params=range(3))
def anatomy(request: pytest.FixtureRequest) -> Anatomy:
    return lay_out(Person(17, request.param))


def test_the_skeleton_has_every_bone_of_every_set_once(anatomy: Anatomy) -> None:
    whole = [piece.name for piece in skeleton(anatomy, split_sacrum=False)]
    assert len(whole) == len(set(whole))

    parts = {part.name for piece in skeleton(anatomy, split_sacrum=True) for part in piece.parts}
    for view in FIELDS_OF_VIEW.values():
        assert {*view.names, *view.unnamed} <= parts


def test_vertebrae_are_stacked_with_discs_between(anatomy: Anatomy) -> None:
    for lower, upper in itertools.pairwise(anatomy.spine.values()):
        top = lower.frame.at((lower.height, 0.0, 0.0))
        bottom = upper.frame.at((-upper.height, 0.0, 0.0))
        gap = np.linalg.norm(np.subtract(bottom, top)) / anatomy.body.scale
        assert gap == pytest.approx(upper.disc)
        assert bottom[0] > top[0]


def test_ribs_hang_from_their_vertebra_on_their_side_and_sink_forward(anatomy: Anatomy) -> None:
    assert len(anatomy.ribs) == 24
    for laid in anatomy.ribs:
        sign = 1 if laid.side == "left" else -1
        start = np.array(anatomy.body.at(laid.curve[0]))
        vertebra = anatomy.spine[f"T{laid.number}"]
        assert np.linalg.norm(start - vertebra.frame.origin) < 40.0
        assert all(sign * point[2] > 0 for point in laid.curve)
        assert laid.curve[-1][0] < laid.curve[0][0] - 20.0


def test_the_body_is_not_quite_the_same_on_both_sides(anatomy: Anatomy) -> None:
    left, right = anatomy.joints["left"], anatomy.joints["right"]

    assert left.scale != right.scale
    assert left.origin[2] > right.origin[2] + 140.0


def test_people_differ() -> None:
    scales = {Person(17, case).scale for case in range(8)}

    assert len(scales) == 8
    assert 0.93 <= min(scales) < max(scales) <= 1.07
    assert {bool(Person(17, case).contrast_hu) for case in range(12)} == {True, False}
