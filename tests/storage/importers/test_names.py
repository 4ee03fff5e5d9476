"""What label maps look like, and which names become labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from osteon.core.errors import BadInput
from osteon.core.labels import BONES, FIRST_CUSTOM_ID
from osteon.storage.importers.names import read_names
from osteon.storage.importers.non_bones import NON_BONES
from osteon.storage.importers.plan import CaseSource, case_id_of, table_of
from osteon.storage.importers.verse import NAMES
from osteon.storage.readers import LabelName, LabelSource, ScanSource

Save = Callable[..., Path]


@pytest.mark.parametrize(
    "content",
    [
        {"1": "femur_left", "12": "rib_left_3"},
        {"femur_left": 1, "rib_left_3": 12},
        {"background": 0, "femur_left": 1, "rib_left_3": "12"},
        {"labels": {"0": "background", "1": "femur_left", "12": "rib_left_3"}},
    ],
)
def test_maps_in_both_directions(save_json: Save, content: object) -> None:
    assert read_names(save_json("map.json", content)) == {1: "femur_left", 12: "rib_left_3"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ([1, 2], "bad-json"),
        ({"labels": [1]}, "bad-label-map"),
        ({"femur_left": 1.5}, "bad-label-map"),
        ({"femur_left": True}, "bad-label-map"),
        ({"a": 1, "b": 1}, "bad-label-map"),
    ],
)
def test_what_is_no_map_is_refused(save_json: Save, content: object, code: str) -> None:
    with pytest.raises(BadInput) as caught:
        read_names(save_json("map.json", content))
    assert caught.value.code == code


def test_broken_json_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.json").write_text("{" * 100_000)
    with pytest.raises(BadInput) as caught:
        read_names(tmp_path / "map.json")
    assert caught.value.code == "bad-json"


def test_the_table_holds_bones_and_custom_names_but_no_organs() -> None:
    entries = tuple(
        LabelName(0, k, name) for k, name in enumerate(["Left Femur", "liver", "implant", "kidney_left"], start=1)
    )
    labels = LabelSource("labelmap", ("l.nii.gz",), entries, "l.nii.gz")
    table = table_of([CaseSource(None, ScanSource("nifti", ("ct.nii.gz",), "ct.nii.gz"), labels)])
    assert table.names == {BONES.ids["femur_left"]: "femur_left", FIRST_CUSTOM_ID: "implant"}


def test_no_bone_is_counted_among_the_others() -> None:
    assert not NON_BONES & set(BONES.ids)


def test_verses_ids_are_vertebrae_of_the_table() -> None:
    assert set(NAMES) == set(range(1, 29))
    assert set(NAMES.values()) <= set(BONES.ids)


@pytest.mark.parametrize("name", ["../x", "", ".hidden", "a b", "Müller", "-x"])
def test_names_that_are_no_ids(name: str) -> None:
    assert case_id_of(name) is None
