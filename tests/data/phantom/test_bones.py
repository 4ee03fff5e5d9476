import numpy as np

from osteon.core.geometry import Grid
from osteon.data.phantom.bones import FAR_MM, Bone, Part, Wall, bone, build_skeleton
from osteon.data.phantom.frame import Frame
from osteon.data.phantom.shapes import Block, ball, tube

BLOCK = Block.whole(Grid((30, 30, 60), (1.0, 1.0, 1.0), (-14.5, -14.5, -29.5)))
WALL = Wall(2.0, 1000.0, 200.0)


def test_two_bones_keep_a_joint_space_between_them() -> None:
    left = bone("femur_left", WALL, [ball(Frame(), (0.0, 0.0, 7.0), 9.0)])
    right = bone("hip_left", WALL, [ball(Frame(), (0.0, 0.0, -7.0), 9.0)])
    solid = build_skeleton([left, right], BLOCK, joint_mm=4.0)

    row = solid.depth[15, 15] < 0
    gap = np.flatnonzero(~row[20:40])
    assert 3 <= len(gap) <= 5
    assert (solid.part[15, 15, 25], solid.part[15, 15, 35]) == (2, 1)


def test_the_order_of_bones_does_not_move_their_surfaces() -> None:
    bones = [bone(str(k), WALL, [ball(Frame(), (0.0, 0.0, 8.0 * k - 12.0), 6.0)]) for k in range(4)]
    forward, backward = build_skeleton(bones, BLOCK, 2.0), build_skeleton(bones[::-1], BLOCK, 2.0)

    np.testing.assert_array_equal(forward.depth, backward.depth)


def test_parts_of_one_bone_have_no_joint_but_keep_their_names() -> None:
    parts = tuple(
        Part(name, ball(Frame(), (0.0, 0.0, x), 8.0), WALL) for name, x in (("sacrum", -5.0), ("vertebrae_S1", 5.0))
    )
    solid = build_skeleton([Bone(parts)], BLOCK, joint_mm=4.0)

    assert (solid.depth[15, 15, 20:40] < -3.0).all()
    assert [solid.parts[k - 1].name for k in solid.part[15, 15, [25, 35]]] == ["sacrum", "vertebrae_S1"]


def test_carving_takes_away() -> None:
    shell = bone("skull", WALL, [ball(Frame(), (0.0, 0.0, 0.0), 12.0)], carved=[ball(Frame(), (0.0, 0.0, 0.0), 9.0)])
    inside = build_skeleton([shell], BLOCK, 2.0).depth[15, 15] < 0

    assert not inside[25:35].any()
    assert inside[[19, 40]].all()


def test_a_straight_tube_is_as_thick_at_its_joints_as_between_them() -> None:
    rods = tube(Frame(), [(0.0, 0.0, float(x)) for x in range(-20, 21, 8)], [6.0] * 6)
    inside = build_skeleton([bone("rib_left_1", WALL, rods, blend_mm=6.0)], BLOCK, 0.0).depth < 0

    assert set(inside.sum(axis=(0, 1))[12:48]) == {int(inside[:, :, 30].sum())}


def test_bones_out_of_sight_are_left_out() -> None:
    solid = build_skeleton([bone("skull", WALL, [ball(Frame(), (500.0, 0.0, 0.0), 9.0)])], BLOCK, 2.0)

    assert (solid.part == 0).all()
    assert (solid.depth >= FAR_MM / 2).all()
