from dataclasses import replace

import numpy as np

from osteon.core.geometry import Grid
from osteon.data.phantom.person import Person
from osteon.data.phantom.shapes import Block
from osteon.data.synthesis import Anatomy
from osteon.data.synthesis.pose import MIRRORED_SHARE, Pose

ORIGIN = Block.whole(Grid((1, 1, 1)))
LINE = Block.whole(Grid((1, 1, 21), (1.0, 1.0, 10.0), (0.0, 0.0, -100.0)))


def test_the_middle_of_the_body_comes_to_lie_near_the_origin(anatomy: Anatomy) -> None:
    for case in range(5):
        index = Pose.of(Person(1, case), anatomy).index(ORIGIN)
        away = np.array([axis[0, 0, 0] for axis in index]) - anatomy.middle
        assert np.abs(away).max() * anatomy.voxel_mm < 45.0  # five deviations of the widest wave


def test_mirrored_bodies_run_the_other_way(anatomy: Anatomy) -> None:
    poses = [Pose.of(Person(1, case), anatomy) for case in range(40)]
    steps = [np.diff(pose.index(LINE)[2].ravel()) for pose in poses]

    assert [bool((step < 0).all()) for step in steps] == [pose.is_mirrored for pose in poses]
    assert [bool((step > 0).all()) for step in steps] == [not pose.is_mirrored for pose in poses]
    assert 0 < sum(pose.is_mirrored for pose in poses) < 2 * MIRRORED_SHARE * len(poses)


def test_no_place_is_folded_over_another(anatomy: Anatomy) -> None:
    """The Jacobian of the map stays positive: the smallest is far from 0."""
    grid = Grid((24, 12, 20), (14.0, 14.0, 14.0), (-160.0, -80.0, -140.0))
    for case in range(6):
        pose = Pose.of(Person(5, case), anatomy)
        columns = [np.stack([*np.gradient(axis, 14.0)]) * anatomy.voxel_mm for axis in pose.index(Block.whole(grid))]
        jacobian = np.linalg.det(np.moveaxis(np.stack(columns), (0, 1), (-2, -1)))
        assert (jacobian * (-1 if pose.is_mirrored else 1)).min() > 0.15


def test_a_turned_source_is_turned_back(anatomy: Anatomy) -> None:
    """A grid turned by 90 degrees about z: its axis 1 runs to the right, its axis 2 to the back."""
    turned = Grid(anatomy.grid.shape, anatomy.grid.spacing_mm, (0, 0, 0), (1, 0, 0, 0, 0, 1, 0, -1, 0))
    plain, moved = (np.array(Pose.of(Person(1, 0), each).rows) for each in (anatomy, replace(anatomy, grid=turned)))

    assert np.allclose(moved[0], plain[0])
    assert np.allclose(moved[1, :3], -plain[2, :3])
    assert np.allclose(moved[2, :3], plain[1, :3])
