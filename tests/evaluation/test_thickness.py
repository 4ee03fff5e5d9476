"""Shells of known thickness: what is measured must be what was made."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from osteon.core.geometry import Grid
from osteon.evaluation.mesh import extract_mesh
from osteon.evaluation.thickness import MAX_THICKNESS_MM, cortical_thickness

Floats = npt.NDArray[np.float64]
OUTER_MM = 14.0


def distances(grid: Grid) -> Floats:
    """Of every voxel from the middle of the grid."""
    index = np.moveaxis(np.indices(grid.shape), 0, -1)
    return np.asarray(np.linalg.norm(grid.position_mm(index) - grid.position_mm(np.divide(grid.shape, 2.1)), axis=-1))


def mean_thickness(density: Floats, level: float, bone: npt.NDArray[np.bool_], grid: Grid) -> tuple[float, float]:
    """Mean over the surface, and the share of the surface it was found on."""
    mesh = extract_mesh(bone, grid)
    thickness = cortical_thickness(mesh, density, level, bone, grid)
    found = np.isfinite(thickness)
    areas = mesh.vertex_areas_mm2
    return float(np.average(thickness[found], weights=areas[found])), float(areas[found].sum() / areas.sum())


@pytest.mark.parametrize("thickness_mm", [2.0, 3.0, 4.5])
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (1.4, 0.7, 0.7)])
def test_a_labelled_shell(thickness_mm: float, spacing: tuple[float, float, float]) -> None:
    z, y, x = (int(32 / side) for side in spacing)
    grid = Grid((z, y, x), spacing)
    away = distances(grid)
    bone = away <= OUTER_MM
    shell = bone & (away > OUTER_MM - thickness_mm)

    mean, share = mean_thickness(shell.astype(np.float64), 0.5, bone, grid)

    assert mean == pytest.approx(thickness_mm, rel=0.04)
    assert share > 0.99


def test_a_shell_in_a_blurred_scan_on_an_oblique_grid(oblique: Grid) -> None:
    away = distances(oblique)
    bone = away <= OUTER_MM
    sharp = np.where(bone, np.where(away > OUTER_MM - 3, 1300.0, 100.0), 50.0)
    hu = gaussian_filter(sharp, [0.6 / side for side in oblique.spacing_mm])

    mean, share = mean_thickness(hu, 690.0, bone, oblique)  # midway, as far as the walls are straight

    assert mean == pytest.approx(3.0, rel=0.04)
    assert share > 0.99


def test_a_flat_wall_is_measured_to_a_fraction_of_a_voxel() -> None:
    grid = Grid((24, 30, 30), (1.0, 1.0, 1.0))
    bone = np.zeros(grid.shape, np.bool_)
    bone[2:22, 2:28, 2:28] = True
    hu = np.where(bone, 0.0, -100.0)
    hu[2:6] = hu[18:22] = 1000.0
    hu[6] = hu[17] = 300.0  # 30 % of the voxel is cortex

    mesh = extract_mesh(bone, grid)
    thickness = cortical_thickness(mesh, hu, 500.0, bone, grid)

    top = (np.abs(mesh.normals[:, 0]) > 0.999) & (np.abs(mesh.vertices_mm[:, 1:] - 14.5) < 8).all(axis=1)
    assert top.sum() > 200
    entry, leave = 600 / 1100, 500 / 700  # between voxel centres: where straight lines meet 500 HU
    np.testing.assert_allclose(thickness[top], (6 - 1 + leave) - (1 + entry), atol=0.02)


def test_trabeculae_deep_inside_do_not_count() -> None:
    grid = Grid((40, 40, 40))
    away = distances(grid)
    bone = away <= OUTER_MM
    hu = np.where(bone & ((away > OUTER_MM - 2) | (np.indices(grid.shape).sum(axis=0) % 5 == 0) & (away < 9)), 1000, 0)

    mean, _ = mean_thickness(hu.astype(np.float64), 500, bone, grid)

    assert mean == pytest.approx(2.0, rel=0.06)


def test_solid_bone_has_no_cortical_thickness() -> None:
    grid = Grid((40, 40, 40))
    ball, plate = distances(grid) <= MAX_THICKNESS_MM + 2, np.zeros(grid.shape, np.bool_)
    plate[18:21, 4:36, 4:36] = True  # rays come out of the other side
    for bone in (ball, plate):
        thickness = cortical_thickness(extract_mesh(bone, grid), bone.astype(np.float64), 0.5, bone, grid)
        assert np.isnan(thickness).mean() > 0.97


def test_soft_bone_has_no_cortical_thickness() -> None:
    grid = Grid((30, 30, 30))
    bone = distances(grid) <= 9
    thickness = cortical_thickness(extract_mesh(bone, grid), np.full(grid.shape, 100.0), 500, bone, grid)
    assert np.isnan(thickness).all()


def test_a_bone_that_touches_another_is_measured_from_its_own_surface() -> None:
    grid = Grid((30, 40, 40))
    bone = np.zeros(grid.shape, np.bool_)
    bone[15:, 4:36, 4:36] = True
    hu = np.zeros(grid.shape)
    hu[10:18] = 1000.0  # five voxels of the neighbour's cortex, three of its own
    mesh = extract_mesh(bone, grid)
    thickness = cortical_thickness(mesh, hu, 500, bone, grid)

    below = (mesh.normals[:, 0] < -0.999) & (np.abs(mesh.vertices_mm[:, 1:] - 19.5) < 8).all(axis=1)
    np.testing.assert_allclose(thickness[below], 3.0, atol=0.05)


def test_walls_of_the_marrow_get_no_value() -> None:
    grid = Grid((36, 36, 36))
    away = distances(grid)
    bone, shell = away <= OUTER_MM, (away <= OUTER_MM) & (away > OUTER_MM - 4)

    mesh = extract_mesh(shell, grid)  # both walls
    thickness = cortical_thickness(mesh, shell.astype(np.float64), 0.5, bone, grid)

    radii = np.linalg.norm(mesh.vertices_mm - grid.position_mm(np.divide(grid.shape, 2.1)), axis=1)
    assert np.isnan(thickness[radii < 12]).all()
    assert math.isclose(thickness[radii > 12].mean(), 4.0, rel_tol=0.04)
