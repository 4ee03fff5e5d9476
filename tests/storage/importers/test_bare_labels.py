from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.storage.importers.bare_labels import bones_of, find_bare_labels, full_table

Array = npt.NDArray[Any]
Save = Callable[..., Path]
NAMES = {"1": "sacrum", "2": "liver"}


def _names(path: Path) -> list[list[str]]:
    return [[entry.name for entry in source.names] for source in find_bare_labels(path)]


def test_a_file_is_a_label_map(save: Save, save_json: Save, labels: Array) -> None:
    file = save("body.nii.gz", labels)
    save_json("labels.json", NAMES)

    assert _names(file) == [["sacrum", "liver"]]


def test_a_folder_holds_the_masks_of_one_body(save: Save, labels: Array, tmp_path: Path) -> None:
    for name in ("sacrum", "liver"):
        save(f"s1/{name}.nii.gz", labels)

    assert _names(tmp_path / "s1") == [["liver", "sacrum"]]


def test_a_subject_keeps_its_masks_in_segmentations(save: Save, labels: Array, tmp_path: Path) -> None:
    save("s1/segmentations/sacrum.nii.gz", labels)
    save("s1/ct_prediction.nii.gz", labels)

    assert _names(tmp_path / "s1") == [["sacrum"]]


def test_a_folder_of_subjects_holds_many_bodies(save: Save, labels: Array, tmp_path: Path) -> None:
    save("all/s1/segmentations/sacrum.nii.gz", labels)
    save("all/s2/hip_left.nii.gz", labels)
    (tmp_path / "all" / "empty").mkdir()
    (tmp_path / "all" / "readme.txt").write_text("nothing")

    assert _names(tmp_path / "all") == [["sacrum"], ["hip_left"]]


def test_with_a_labels_map_every_file_is_a_body(save: Save, save_json: Save, labels: Array, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(f"labelsTr/{name}.nii.gz", labels)

    found = find_bare_labels(tmp_path / "labelsTr", save_json("map.json", NAMES))
    assert [source.name for source in found] == ["a.nii.gz", "b.nii.gz"]


def test_the_table_names_everything_and_the_bones_among_it(save: Save, save_json: Save, labels: Array) -> None:
    table = full_table(find_bare_labels(save("body.nii.gz", labels), save_json("map.json", NAMES)))

    assert set(table.ids) == {"sacrum", "liver"}
    assert set(bones_of(table).ids) == {"sacrum"}


@pytest.mark.parametrize("name", ["absent", "empty", "text.txt"])
def test_what_holds_no_labels_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("nothing")

    with pytest.raises(BadInput, match="no-source"):
        find_bare_labels(tmp_path / name)
