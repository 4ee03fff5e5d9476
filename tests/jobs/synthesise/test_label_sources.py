import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.jobs.label_sources import find_bodies, parse_merges
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case


def test_a_file_and_a_folder_of_masks_are_the_same_body(label_file: Path, mask_folder: Path) -> None:
    (file,), (folder,) = find_bodies(str(label_file)), find_bodies(str(mask_folder))

    assert np.array_equal(file.read().ids, folder.read().ids)
    assert file.read().grid.matches(folder.read().grid)
    assert file.digest() != folder.digest()
    assert pickle.loads(pickle.dumps(file)) == file
    assert hash(file) != hash(folder)


def test_the_labels_of_a_dataset_are_bodies(tmp_path: Path, body: npt.NDArray[np.uint8]) -> None:
    table = table_for(["sacrum"])
    dataset = Dataset.create(str(tmp_path / "d"), "d", table)
    ids = np.where(body == 1, table.ids["sacrum"], 0).astype(table.dtype)
    write_case(dataset, "one", np.zeros(body.shape, np.int16), ids, Grid(body.shape))
    write_case(dataset, "two", np.zeros(body.shape, np.int16), None, Grid(body.shape))

    (found,) = find_bodies(str(tmp_path / "d"))
    assert np.array_equal(found.read().ids, ids)
    assert found.read().table == table
    assert len(found.digest()) > 64
    assert hash(found) == hash(pickle.loads(pickle.dumps(found)))


def test_a_structure_can_become_part_of_another(label_file: Path) -> None:
    volume = find_bodies(str(label_file))[0].read()
    merged = volume.merged({"vertebrae_S1": "sacrum"})

    sacrum, first = volume.table.ids["sacrum"], volume.table.ids["vertebrae_S1"]
    assert "vertebrae_S1" not in merged.table.ids
    assert np.array_equal(merged.ids == sacrum, (volume.ids == sacrum) | (volume.ids == first))


def test_merges_are_read_from_text() -> None:
    assert parse_merges("vertebra S1=sacrum, coccyx=sacrum") == {"vertebrae_S1": "sacrum", "coccyx": "sacrum"}
    assert parse_merges("") == {}
    for text in ("sacrum", "a=b=c", "=sacrum"):
        with pytest.raises(BadInput, match="bad-merge"):
            parse_merges(text)


def test_a_dataset_without_labels_is_refused(tmp_path: Path) -> None:
    dataset = Dataset.create(str(tmp_path / "d"), "d", table_for(["sacrum"]))
    write_case(dataset, "two", np.zeros((8, 8, 8), np.int16), None, Grid((8, 8, 8)))

    with pytest.raises(BadInput, match="no-labels"):
        find_bodies(str(tmp_path / "d"))
