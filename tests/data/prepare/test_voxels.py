"""Voxels of derived cases, and predictions on them put back onto their scan."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from osteon.core.chain import Chain, Crop, Mirror
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import BONES
from osteon.core.volume import Array
from osteon.data.prepare import Preparation, PrepareSpec, plan_scan, prepare_hu, prepare_labels, restore_labels
from osteon.data.preprocess import pool_mean

Dice = Callable[[Array, Array], float]
RIGHT = BONES.ids["femur_right"]
LEFT = BONES.ids["femur_left"]

ROUND_TRIPS = [
    PrepareSpec(crop_above_hu=300),
    PrepareSpec(crop_bones=("femur_left", "femur_right")),
    PrepareSpec(spacing_mm=(1.5, 1.5, 1.5)),
    PrepareSpec(plane_shape=(48, 128)),
    PrepareSpec(femurs=True),
    PrepareSpec(femurs=True, spacing_mm=(1.5, 1.5, 1.5)),
    PrepareSpec(femurs=True, align_shaft=True, spacing_mm=(1.0, 1.0, 1.0)),
]


def prepared_labels(thighs: Any, spec: PrepareSpec) -> list[tuple[Preparation, Array]]:
    plans = plan_scan(thighs.levels, thighs.guide, spec)
    return [(plan, prepare_labels(thighs.label_levels, plan, (0, plan.grid.shape[0]))) for plan in plans]


def prepared_hu(thighs: Any, plan: Preparation, spec: PrepareSpec) -> Array:
    return prepare_hu(thighs.levels, plan, spec, (0, plan.grid.shape[0]))


def restored(thighs: Any, spec: PrepareSpec) -> Array:
    parts = [restore_labels(labels, plan.chain, thighs.grid) for plan, labels in prepared_labels(thighs, spec)]
    return np.asarray(np.max(parts, axis=0))


@pytest.mark.parametrize("scan", ["thighs", "oblique_thighs"])
@pytest.mark.parametrize("spec", ROUND_TRIPS, ids=lambda spec: ",".join(sorted(spec.model_fields_set)))
def test_labels_come_back_to_their_scan(
    scan: str, spec: PrepareSpec, dice: Dice, request: pytest.FixtureRequest
) -> None:
    thighs = request.getfixturevalue(scan)
    assert dice(restored(thighs, spec), thighs.ids) >= 0.97


@pytest.mark.parametrize("spec", [PrepareSpec(femurs=True), PrepareSpec(crop_above_hu=300)], ids=["femurs", "crop"])
def test_without_resampling_every_voxel_comes_back(spec: PrepareSpec, thighs: Any) -> None:
    np.testing.assert_array_equal(restored(thighs, spec), thighs.ids)


def test_prepared_femurs_are_all_right_ones(thighs: Any) -> None:
    spec = PrepareSpec(femurs=True)
    for (plan, labels), side in zip(prepared_labels(thighs, spec), (LEFT, RIGHT), strict=True):
        assert set(np.unique(labels)) == {0, RIGHT}
        assert np.count_nonzero(labels) == np.count_nonzero(thighs.ids == side)
        hu = prepared_hu(thighs, plan, spec)
        np.testing.assert_array_equal(hu[labels == RIGHT], 700)
        outward = np.argwhere(labels[-12:]).mean(axis=0)[2] - np.argwhere(labels[:12]).mean(axis=0)[2]
        assert outward < 0  # a right femur leans to the patient's right, where x falls


def test_a_mirrored_voxel_lies_at_the_mirrored_patient_position(thighs: Any) -> None:
    spec = PrepareSpec(femurs=True)
    left, _ = prepared_labels(thighs, spec)
    plan, labels = left
    derived = plan.grid.position_mm(np.argwhere(labels))
    source = thighs.grid.position_mm(np.argwhere(thighs.ids == LEFT)) * [1, 1, -1]
    np.testing.assert_allclose(np.sort(derived, axis=0), np.sort(source, axis=0))


def test_slabs_are_the_whole_piece_by_piece(thighs: Any) -> None:
    for spec in (PrepareSpec(femurs=True, align_shaft=True), PrepareSpec(spacing_mm=(1.3, 1.3, 1.3))):
        for plan in plan_scan(thighs.levels, thighs.guide, spec):
            whole, depth = prepared_hu(thighs, plan, spec), plan.grid.shape[0]
            slabs = [prepare_hu(thighs.levels, plan, spec, (z, min(z + 7, depth))) for z in range(0, depth, 7)]
            np.testing.assert_array_equal(np.concatenate(slabs), whole)


def test_a_scan_without_a_pyramid_gives_the_same_as_one_with(thighs: Any, volume: Callable[..., Any]) -> None:
    spec = PrepareSpec(spacing_mm=(5.0, 4.0, 4.0))
    (plan,) = plan_scan(thighs.levels, None, spec)
    pooled = volume(pool_mean(thighs.hu, 1), thighs.grid.pooled(1))
    with_pyramid = prepare_hu((*thighs.levels, pooled), plan, spec, (0, plan.grid.shape[0]))
    np.testing.assert_array_equal(prepared_hu(thighs, plan, spec), with_pyramid)


def test_hu_are_cut_to_the_window_and_stay_hounsfield_units(thighs: Any) -> None:
    spec = PrepareSpec(window_hu=(100, 600))
    (plan,) = plan_scan(thighs.levels, None, spec)
    hu = prepared_hu(thighs, plan, spec)
    assert hu.dtype == np.int16
    np.testing.assert_array_equal(hu, np.clip(thighs.hu, 100, 600))


def test_around_the_scan_there_is_air(thighs: Any) -> None:
    spec = PrepareSpec(femurs=True, align_shaft=True, margin_mm=60)
    plan = plan_scan(thighs.levels, thighs.guide, spec)[1]
    hu = prepared_hu(thighs, plan, spec)
    assert {int(corner) for corner in hu[:: len(hu) - 1, :: hu.shape[1] - 1, :: hu.shape[2] - 1].ravel()} == {-1000}


def test_only_the_block_that_is_needed_is_read(thighs: Any) -> None:
    asked: list[int] = []

    level: Any = type(thighs.levels[0])

    class Counting(level):  # type: ignore[misc]  # the fixture's own class, which is nowhere to be imported from
        def read(self, start: tuple[int, int, int], shape: tuple[int, int, int]) -> Any:
            asked.append(int(np.prod(shape)))
            return super().read(start, shape)

    plan = plan_scan(thighs.levels, thighs.guide, PrepareSpec(femurs=True))[0]
    prepare_hu((Counting(thighs.hu, thighs.grid),), plan, PrepareSpec(femurs=True), (0, 8))
    assert asked == [8 * plan.grid.shape[1] * plan.grid.shape[2]]


def test_labels_of_another_shape_are_refused(thighs: Any) -> None:
    with pytest.raises(BadInput, match="other-grid"):
        restore_labels(np.zeros((3, 3, 3), np.uint8), Chain(), thighs.grid)


def test_every_sided_bone_gets_its_own_side_back() -> None:
    grid = Grid((2, 2, 5))
    chain = Chain((Crop((0, 0, 1), (2, 2, 4)), Mirror()))
    labels = np.zeros((2, 2, 4), np.uint16)
    labels[..., 0], labels[..., 1], labels[..., 2] = BONES.ids["hip_right"], BONES.ids["sacrum"], 200
    back = restore_labels(labels, chain, grid)
    assert back.dtype == np.uint16
    assert back[0, 0].tolist() == [0, 0, 200, BONES.ids["sacrum"], BONES.ids["hip_left"]]
