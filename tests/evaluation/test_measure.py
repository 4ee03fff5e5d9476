import math
import tracemalloc
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.evaluation.measure import MeasuredBone, measure_bones, present_bones

Labels = npt.NDArray[np.uint16]
GRID = Grid((30, 32, 34), (1.5, 1.0, 1.0), (-200.0, 10.0, 60.0))


def only(labels: Labels, grid: Grid, table: LabelTable, **options: Any) -> MeasuredBone:
    (bone,) = measure_bones(labels, grid, table, **options)
    return bone


@pytest.fixture
def labels() -> Labels:
    """Two boxes, the second at the end of the scan, and a voxel whose label no table names."""
    labels = np.zeros(GRID.shape, np.uint16)
    labels[5:15, 4:16, 6:20] = 7
    labels[20:, 20:28, 10:30] = 300
    labels[0, 0, 0] = 9
    return labels


def test_every_bone_is_measured_where_it_lies(labels: Labels, table: LabelTable) -> None:
    hip, plate = (bone.measures for bone in measure_bones(labels, GRID, table))

    assert (hip.id, hip.name, hip.voxels) == (7, "hip_left", 10 * 12 * 14)
    assert hip.volume_mm3 == pytest.approx(1680 * 1.5)
    assert hip.surface_mm2 == pytest.approx(2 * (15 * 12 + 15 * 14 + 12 * 14), rel=0.08)
    assert hip.centroid_mm == pytest.approx(tuple(GRID.position_mm([9.5, 9.5, 12.5])))
    assert hip.box_min_mm == pytest.approx(tuple(GRID.position_mm([4.5, 3.5, 5.5])), abs=0.3)
    assert hip.box_max_mm == pytest.approx(tuple(GRID.position_mm([14.5, 15.5, 19.5])), abs=0.3)
    assert hip.is_watertight
    assert not hip.is_cut_off
    assert hip.hu is None
    assert hip.cortex is None
    assert (plate.name, plate.is_cut_off, plate.is_watertight) == ("plate", True, True)


def test_an_oblique_grid_gives_the_same_bone_in_patient_axes(oblique: Grid, table: LabelTable) -> None:
    centre = oblique.position_mm([22, 20, 24])
    index = np.moveaxis(np.indices(oblique.shape), 0, -1)
    away = oblique.position_mm(index) - centre
    labels = 8 * (np.linalg.norm(away / [12.0, 8.0, 8.0], axis=-1) <= 1).astype(np.uint16)  # long along patient z

    bone = only(labels, oblique, table).measures

    assert bone.name == "hip_right"
    assert bone.centroid_mm == pytest.approx(tuple(centre), abs=0.1)
    size = np.subtract(bone.box_max_mm, bone.box_min_mm)
    np.testing.assert_allclose(size, [24, 16, 16], atol=0.9)
    assert bone.volume_mm3 == pytest.approx(4 / 3 * math.pi * 12 * 8 * 8, rel=0.02)


def test_hu_are_those_of_the_bones_voxels(labels: Labels, table: LabelTable) -> None:
    hu = np.full(GRID.shape, -1000, np.int16)
    hu[labels == 7] = np.arange(1680)

    hip, plate = (bone.measures.hu for bone in measure_bones(labels, GRID, table, hu=hu))

    assert hip is not None
    assert (hip.mean, hip.median) == (839.5, 839.5)
    assert hip.sd == pytest.approx(np.arange(1680).std())
    assert (hip.p05, hip.p95) == pytest.approx((0.05 * 1679, 0.95 * 1679))
    assert plate is not None
    assert (plate.mean, plate.sd) == (-1000, 0)


def tube(grid: Grid) -> tuple[Labels, Labels]:
    """A hollow shaft along z through the whole scan: 9 mm to its outer wall, the marrow 5 mm."""
    z, y, x = np.moveaxis(grid.position_mm(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)
    away = np.hypot(y - y.mean(), x - x.mean())
    return (away <= 9).astype(np.uint16), ((away <= 9) & (away > 5) & (z < np.inf)).astype(np.uint16)


def test_a_cortical_label_is_measured_against_its_trabecular_one() -> None:
    grid = Grid((20, 36, 36), (2.0, 0.7, 0.7))
    whole, shell = tube(grid)
    table = table_for(["femur_left_cortical", "femur_left_trabecular", "sacrum"])
    cortical, trabecular = table.ids["femur_left_cortical"], table.ids["femur_left_trabecular"]

    first, second = measure_bones(cortical * shell + trabecular * (whole - shell), grid, table)

    assert first.measures.cortex is not None
    assert first.measures.cortex.mean_mm == pytest.approx(4.0, rel=0.04)
    assert first.measures.cortex.median_mm == pytest.approx(4.0, rel=0.04)
    assert first.measures.cortex.sd_mm == pytest.approx(0, abs=0.5)
    outer, inner, ends = 2 * math.pi * 9 * 40, 2 * math.pi * 5 * 40, 2 * math.pi * (81 - 25)
    assert first.measures.cortex.measured_share == pytest.approx(outer / (outer + inner + ends), abs=0.05)
    assert first.thickness_mm is not None
    height = grid.index_of(first.mesh.vertices_mm)[:, 0]
    assert np.isnan(first.thickness_mm[(height < 0) | (height > 19)]).all()  # the cuts are no surface of the bone
    assert second.measures.cortex is None
    assert second.thickness_mm is None


def test_a_cortical_label_alone_encloses_what_it_surrounds() -> None:
    grid = Grid((30, 30, 30))
    away = np.linalg.norm(np.moveaxis(np.indices(grid.shape), 0, -1) - 14.6, axis=-1)
    shell = ((away <= 12) & (away > 9)).astype(np.uint8)

    cortex = only(shell, grid, LabelTable.of({1: "cortical"})).measures.cortex

    assert cortex is not None
    assert cortex.mean_mm == pytest.approx(3.0, rel=0.04)


def test_a_threshold_finds_the_cortex_of_known_bones_only() -> None:
    grid = Grid((20, 36, 36), (2.0, 0.7, 0.7))
    whole, shell = tube(grid)
    hu = np.where(shell, 1200, 0).astype(np.int16)
    table = table_for(["femur_left", "liver"])

    bone = only(table.ids["femur_left"] * whole, grid, table, hu=hu, cortex_hu=600)
    organ = only(table.ids["liver"] * whole, grid, table, hu=hu, cortex_hu=600)

    assert bone.measures.cortex is not None
    assert bone.measures.cortex.mean_mm == pytest.approx(4.0, rel=0.04)
    assert organ.measures.cortex is None


def test_a_bone_without_cortex_has_none() -> None:
    labels = np.zeros(GRID.shape, np.uint16)
    labels[5:15, 5:15, 5:15] = 1
    bone = only(labels, GRID, LabelTable.of({1: "skull"}), hu=np.zeros(GRID.shape, np.int16), cortex_hu=600)

    assert bone.measures.cortex is not None
    assert bone.measures.cortex.mean_mm is bone.measures.cortex.median_mm is bone.measures.cortex.sd_mm is None
    assert bone.measures.cortex.measured_share == 0


def test_the_bones_present_are_those_with_voxels(labels: Labels, table: LabelTable) -> None:
    assert list(present_bones(labels, table).names) == [7, 300]
    assert len(present_bones(np.zeros_like(labels), table)) == 0
    assert list(measure_bones(np.zeros_like(labels), GRID, table)) == []


def test_what_does_not_fit_is_refused(labels: Labels, table: LabelTable) -> None:
    with pytest.raises(BadInput, match=r"label volume has shape \(29, 32, 34\).*grid-mismatch"):
        measure_bones(labels[1:], GRID, table)
    with pytest.raises(BadInput, match=r"the image volume has shape.*grid-mismatch"):
        measure_bones(labels, GRID, table, hu=np.zeros((3, 3, 3), np.int16))
    with pytest.raises(BadInput, match=r"600 HU.*no-image"):
        measure_bones(labels, GRID, table, cortex_hu=600)


def test_memory_is_that_of_a_bone_not_of_the_scan(table: LabelTable) -> None:
    labels = np.zeros((200, 200, 200), np.uint8)
    labels[10:30, 10:30, 10:30], labels[150:170, 10:30, 160:180] = 3, 7

    tracemalloc.start()
    assert len(list(measure_bones(labels, Grid(labels.shape), table))) == 2
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < labels.nbytes  # a mask of the whole would already be as much
