import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Reorientation
from osteon.evaluation.mesh import Mesh, extract_mesh


def ball(grid: Grid, radius_mm: float) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """A ball about the middle of the grid, and its centre in patient mm."""
    centre = grid.position_mm([(side - 1) / 2 + 0.2 for side in grid.shape])
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    return np.linalg.norm(grid.position_mm(index) - centre, axis=-1) <= radius_mm, centre


def test_a_ball_on_an_oblique_grid_has_its_volume_area_and_place(oblique: Grid) -> None:
    mask, centre = ball(oblique, 12.0)

    mesh = extract_mesh(mask, oblique)

    assert mesh.is_watertight
    assert mesh.volume_mm3 == pytest.approx(4 / 3 * math.pi * 12**3, rel=0.01)
    assert mesh.area_mm2 == pytest.approx(4 * math.pi * 12**2, rel=0.01)
    radii = np.linalg.norm(mesh.vertices_mm - centre, axis=1)
    assert 11.6 < radii.min() < radii.max() < 12.4
    outward = (mesh.vertices_mm - centre) / radii[:, None]
    tilts = np.degrees(np.arccos((mesh.normals * outward).sum(axis=1)))
    assert np.quantile(tilts, 0.9) < 10
    assert tilts.max() < 40


def test_a_box_ends_at_the_faces_of_its_voxels() -> None:
    grid = Grid((20, 20, 24), (2.0, 1.0, 0.5), (100.0, -50.0, 7.0))
    mask = np.zeros(grid.shape, np.bool_)
    mask[4:14, 5:15, 2:22] = True

    mesh = extract_mesh(mask, grid)

    low, high = mesh.vertices_mm.min(axis=0), mesh.vertices_mm.max(axis=0)
    np.testing.assert_allclose(grid.index_of(low), [3.5, 4.5, 1.5], atol=0.2)  # of a voxel
    np.testing.assert_allclose(grid.index_of(high), [13.5, 14.5, 21.5], atol=0.2)
    assert mesh.volume_mm3 == pytest.approx(20 * 10 * 10, rel=0.002)
    assert mesh.area_mm2 == pytest.approx(2 * (200 + 200 + 100), rel=0.08)  # edges are rounded


@pytest.mark.parametrize("flips", [(True, False, False), (True, True, False), (True, True, True)])
def test_mirrored_grids_face_outward_too(oblique: Grid, flips: tuple[bool, bool, bool]) -> None:
    mask, _ = ball(oblique, 8.0)
    turned = Reorientation((2, 0, 1), flips)

    mesh = extract_mesh(turned.apply(mask).astype(np.bool_), turned.apply_grid(oblique))

    assert mesh.is_watertight
    assert mesh.volume_mm3 == pytest.approx(extract_mesh(mask, oblique).volume_mm3, rel=1e-6)


def test_a_bone_cut_off_by_the_end_of_the_scan_is_closed() -> None:
    mesh = extract_mesh(np.ones((6, 7, 8), np.bool_), Grid((6, 7, 8)))

    assert mesh.is_watertight
    assert mesh.volume_mm3 == pytest.approx(6 * 7 * 8, rel=0.01)


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5, 0.8])
def test_noise_gives_a_closed_surface(share: float) -> None:
    mask = np.random.default_rng(0).random((12, 13, 14)) < share

    assert extract_mesh(mask, Grid(mask.shape)).is_watertight


def test_walls_of_a_cavity_face_the_cavity() -> None:
    mask = np.ones((14, 14, 14), np.bool_)
    mask[4:10, 4:10, 4:10] = False

    mesh = extract_mesh(mask, Grid(mask.shape))

    assert mesh.volume_mm3 == pytest.approx(14**3 - 6**3, rel=0.01)
    wall = np.abs(mesh.vertices_mm - 6.5).max(axis=1) < 5
    inward = (mesh.normals[wall] * (6.5 - mesh.vertices_mm[wall])).sum(axis=1)
    assert (inward > 0).all()


def test_smoothing_keeps_the_volume_of_thin_bones() -> None:
    mask = np.zeros((30, 20, 20), np.bool_)
    mask[3:27, 9:11, 9:11] = True  # as thin as a rib at 3 mm

    assert extract_mesh(mask, Grid(mask.shape)).volume_mm3 == pytest.approx(24 * 4, rel=0.05)


def test_what_is_open_or_inside_out_is_no_watertight_mesh() -> None:
    mesh = extract_mesh(np.ones((3, 3, 3), np.bool_), Grid((3, 3, 3)))
    turned = mesh.faces.copy()
    turned[0] = turned[0, ::-1]

    assert not replace(mesh, faces=mesh.faces[1:]).is_watertight
    assert not replace(mesh, faces=mesh.faces[:, ::-1]).is_watertight
    assert not replace(mesh, faces=turned).is_watertight
    assert not replace(mesh, faces=np.concatenate([mesh.faces, mesh.faces])).is_watertight


def test_areas_and_normals_of_one_triangle() -> None:
    corners_xyz = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]])
    mesh = Mesh(corners_xyz[:, ::-1], np.array([[0, 1, 2]], np.int32))

    assert mesh.area_mm2 == 6
    np.testing.assert_allclose(mesh.vertex_areas_mm2, [2, 2, 2])
    np.testing.assert_allclose(mesh.normals, [[1, 0, 0]] * 3)  # counter-clockwise in x, y: to +z


def test_a_mask_without_voxels_is_refused() -> None:
    with pytest.raises(BadInput, match=r"at least one voxel.*empty-mask"):
        extract_mesh(np.zeros((3, 3, 3), np.bool_), Grid((3, 3, 3)))
