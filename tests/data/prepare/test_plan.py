"""What is derived from a scan: boxes, sides, spacings, and what is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from osteon.core.chain import Crop, Mirror, Resample, Rotate
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.data.prepare import Preparation, PrepareSpec, plan_scan, prepared_table

FEMURS = PrepareSpec(femurs=True)


def kinds(preparation: Preparation) -> list[type]:
    return [type(step) for step in preparation.chain.steps]


def refusal(thighs: Any, spec: PrepareSpec, ids: Array | None = None) -> str:
    changed = thighs if ids is None else replace(thighs, ids=ids)
    with pytest.raises(BadInput) as caught:
        plan_scan(changed.levels, changed.guide, spec)
    return caught.value.code


def test_each_femur_becomes_a_right_one(thighs: Any) -> None:
    left, right = plan_scan(thighs.levels, thighs.guide, FEMURS)
    assert (left.suffix, right.suffix) == ("-left", "-right")
    assert (kinds(left), kinds(right)) == ([Crop, Mirror], [Crop])
    assert left.chain.is_mirrored
    for side, preparation in (("left", left), ("right", right)):
        assert preparation.kept == {thighs.table.ids[f"femur_{side}"]: thighs.table.ids["femur_right"]}
    assert list(prepared_table(thighs.table, FEMURS).ids) == ["femur_right"]


def test_a_crop_holds_every_voxel_and_the_margin(thighs: Any) -> None:
    spec = PrepareSpec(crop_bones=("femur_left",), margin_mm=6)
    (only,) = plan_scan(thighs.levels, thighs.guide, spec)
    places = np.argwhere(thighs.ids == thighs.table.ids["femur_left"])
    (crop,) = only.chain.steps
    assert isinstance(crop, Crop)
    first, last = places.min(axis=0), places.max(axis=0)
    spare = 6 / np.array(thighs.grid.spacing_mm)
    assert (np.array(crop.start) <= np.maximum(first - spare, 0)).all()
    assert (np.add(crop.start, crop.shape) > np.minimum(last + spare, np.array(thighs.grid.shape) - 1)).all()
    assert (np.array(crop.start) >= np.maximum(first - spare - 2, 0)).all()
    assert only.grid == thighs.grid.crop(crop.start, crop.shape)


def test_what_is_bright_is_cropped_to_without_labels(thighs: Any) -> None:
    spec = PrepareSpec(crop_above_hu=300, margin_mm=3)
    (bright,) = plan_scan(thighs.levels, None, spec)
    both = PrepareSpec(crop_bones=("femur_left", "femur_right"), margin_mm=3)
    (bones,) = plan_scan(thighs.levels, thighs.guide, both)
    assert bright.chain == bones.chain


def test_the_shaft_is_turned_upright(thighs: Any) -> None:
    for preparation in plan_scan(thighs.levels, thighs.guide, PrepareSpec(femurs=True, align_shaft=True)):
        assert kinds(preparation)[-2:] == [Rotate, Resample]
        leaning = np.array([1.0, 0.0, 0.2 if preparation.chain.is_mirrored else -0.2]) / np.sqrt(1.04)
        turned = preparation.chain.affine[:3, :3] @ leaning
        assert turned[0] > np.cos(np.radians(3)), "the shaft leans by more than 3 degrees"


def test_spacing_and_plane_shape_are_met(thighs: Any) -> None:
    (resampled,) = plan_scan(thighs.levels, None, PrepareSpec(spacing_mm=(1.0, 1.0, 1.0)))
    assert (resampled.grid.shape, resampled.grid.spacing_mm) == ((120, 60, 150), (1.0, 1.0, 1.0))
    (resized,) = plan_scan(thighs.levels, None, PrepareSpec(spacing_mm=(1.0, 1.0, 1.0), plane_shape=(64, 64)))
    assert (resized.grid.shape, resized.grid.spacing_mm) == ((120, 64, 64), (1.0, 60 / 64, 150 / 64))


def test_a_window_alone_leaves_the_voxels_where_they_are(thighs: Any) -> None:
    (only,) = plan_scan(thighs.levels, None, PrepareSpec(window_hu=(100, 800)))
    assert only.chain.steps == ()
    assert only.grid == thighs.grid


def test_a_guide_may_lie_on_another_grid(thighs: Any) -> None:
    every_second = replace(
        thighs, ids=thighs.ids[::2, ::2, ::2], grid=Grid((30, 20, 50), (4.0, 3.0, 3.0), thighs.grid.origin_mm)
    )
    for fine, coarse in zip(
        plan_scan(thighs.levels, thighs.guide, FEMURS),
        plan_scan(thighs.levels, every_second.guide, FEMURS),
        strict=True,
    ):
        assert np.abs(np.subtract(fine.grid.shape, coarse.grid.shape)).max() <= 6


def test_an_island_of_a_rough_segmentation_does_not_count(thighs: Any) -> None:
    ids = thighs.ids.copy()
    ids[0, 0, 0] = thighs.table.ids["femur_left"]
    changed = replace(thighs, ids=ids)
    assert plan_scan(changed.levels, changed.guide, FEMURS) == plan_scan(thighs.levels, thighs.guide, FEMURS)


def test_bones_are_named_as_people_spell_them_and_those_that_are_missing_do_not_matter(thighs: Any) -> None:
    spelt, plain = PrepareSpec(crop_bones=("Left femur", "sacrum")), PrepareSpec(crop_bones=("femur_left",))
    assert plan_scan(thighs.levels, thighs.guide, spelt) == plan_scan(thighs.levels, thighs.guide, plain)


def test_labels_that_know_one_femur_give_one_case(thighs: Any) -> None:
    table = LabelTable.of({thighs.table.ids["femur_left"]: "femur_left"})
    ids = np.where(thighs.ids == thighs.table.ids["femur_left"], thighs.ids, 0).astype(np.uint8)
    (only,) = plan_scan(thighs.levels, replace(thighs, ids=ids, table=table).guide, FEMURS)
    assert only.suffix == "-left"


def test_one_femur_gives_one_case(thighs: Any) -> None:
    ids = np.where(thighs.ids == thighs.table.ids["femur_right"], thighs.ids, 0).astype(np.uint8)
    (only,) = plan_scan(thighs.levels, replace(thighs, ids=ids).guide, FEMURS)
    assert only.suffix == "-right"


def test_what_cannot_be_found_is_said(thighs: Any) -> None:
    nothing, swapped = np.zeros_like(thighs.ids), thighs.ids.copy()
    left, right = (thighs.table.ids[f"femur_{side}"] for side in ("left", "right"))
    swapped[thighs.ids == left], swapped[thighs.ids == right] = right, left
    assert refusal(thighs, FEMURS, nothing) == "no-femur"
    assert refusal(thighs, FEMURS, swapped) == "swapped-femurs"
    assert refusal(thighs, PrepareSpec(crop_bones=("sacrum",))) == "no-bone"
    assert refusal(thighs, PrepareSpec(crop_above_hu=2000)) == "nothing-bright"
    stump = np.zeros_like(thighs.ids)
    stump[26:34, 14:24, 60:70] = left
    assert refusal(thighs, PrepareSpec(femurs=True, align_shaft=True), stump) == "no-shaft"
    with pytest.raises(BadInput, match="no-guide"):
        plan_scan(thighs.levels, None, FEMURS)
    elsewhere = replace(thighs, grid=Grid(thighs.grid.shape, origin_mm=(900.0, 0.0, 0.0)))
    with pytest.raises(BadInput, match="outside-scan"):
        plan_scan(thighs.levels, elsewhere.guide, FEMURS)


@pytest.mark.parametrize(
    "values",
    [
        {"align_shaft": True},
        {"femurs": True, "crop_above_hu": 200},
        {"crop_bones": ("sacrum",), "crop_above_hu": 200},
        {"window_hu": (800, 100)},
        {"window_hu": (-40000, 100)},
        {"spacing_mm": (1, 0, 1)},
    ],
)
def test_specs_that_contradict_themselves_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        PrepareSpec.model_validate(values)


def test_specs_that_ask_for_the_same_have_one_digest() -> None:
    assert FEMURS.digest == PrepareSpec.model_validate({"femurs": True, "margin_mm": 10}).digest
    assert FEMURS.digest != PrepareSpec(femurs=True, margin_mm=9).digest
    assert not PrepareSpec(margin_mm=3).is_active
    assert prepared_table(LabelTable(()), PrepareSpec(spacing_mm=(1.0, 1.0, 1.0))) == LabelTable(())
