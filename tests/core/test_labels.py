"""The bone table: fixed ids, spellings, sides, and the numbers a model uses."""

import numpy as np
import pytest

from osteon.core.errors import BadInput
from osteon.core.labels import BONES, FIRST_CUSTOM_ID, Label, LabelTable, canonical_name, other_side, table_for


def test_bone_ids_never_move() -> None:
    """Datasets on disk hold these numbers."""
    assert len(BONES) == 131
    assert [BONES.ids[name] for name in ("skull", "vertebrae_C1", "vertebrae_L5", "sacrum", "rib_left_1")] == [
        1, 4, 28, 30, 34,
    ]  # fmt: skip
    assert (BONES.ids["femur_left"], BONES.ids["phalanges_foot_right"]) == (86, 131)
    assert BONES.labels[-1].id < FIRST_CUSTOM_ID
    assert BONES.dtype == np.uint8


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("vertebra L3", "vertebrae_L3"),
        ("Femur-Left", "femur_left"),
        ("left_femur", "femur_left"),
        ("clavicle_right", "clavicula_right"),
        ("rib 3 left", "rib_left_3"),
        ("cortex", "cortex"),
    ],
)
def test_spellings(spelling: str, name: str) -> None:
    assert canonical_name(spelling) == name


def test_every_bone_is_spelt_canonically() -> None:
    assert [canonical_name(label.name) for label in BONES.labels] == [label.name for label in BONES.labels]


def test_sides() -> None:
    assert other_side("rib_left_10") == "rib_right_10"
    assert other_side("sacrum") == "sacrum"
    table = table_for(["femur_left", "femur_right", "hip_left", "sacrum"])
    mirrored = table.mirrored()
    assert mirrored[table.ids["femur_left"]] == table.ids["femur_right"]
    assert mirrored[table.ids["hip_left"]] == table.ids["hip_left"]  # its twin is not in this table
    assert mirrored[table.ids["sacrum"]] == table.ids["sacrum"]


def test_model_classes_and_back() -> None:
    table = table_for(["sacrum", "skull", "periosteum"])
    assert table.names == {1: "skull", 30: "sacrum", FIRST_CUSTOM_ID: "periosteum"}
    stored = np.array([0, 1, 30, FIRST_CUSTOM_ID, 5], dtype=np.uint8)
    classes = table.class_of()[np.minimum(stored, FIRST_CUSTOM_ID)]
    assert classes.tolist() == [0, 1, 2, 3, 0]
    assert table.id_of_class()[classes].tolist() == [0, 1, 30, FIRST_CUSTOM_ID, 0]


def test_wide_tables_take_two_bytes() -> None:
    assert LabelTable((Label(300, "implant"),)).dtype == np.uint16


@pytest.mark.parametrize("ids", [(2, 1), (1, 1), (0, 1)])
def test_disordered_ids_are_refused(ids: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="label ids"):
        LabelTable((Label(ids[0], "a"), Label(ids[1], "b")))


def test_neighbouring_colours_differ() -> None:
    assert len({label.rgba for label in BONES.labels}) == len(BONES)
    for a, b in [("vertebrae_T11", "rib_right_10"), ("vertebrae_T12", "rib_right_11"), ("sacrum", "hip_right")]:
        first, second = (np.array(Label(BONES.ids[name], name).rgba, int) for name in (a, b))
        assert np.abs(first - second).sum() > 90, (a, b)
