"""`osteon restore`: labels of prepared femurs on the grid of the file their scan came from."""

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from typer.testing import CliRunner, Result

from osteon.cli.main import app
from osteon.core.errors import BadInput, OsteonError
from osteon.core.geometry import Grid, Reorientation
from osteon.core.labels import table_for
from osteon.data.prepare import PrepareSpec
from osteon.jobs.prepare import PrepareRequest, prepare
from osteon.storage.dataset import Dataset
from osteon.storage.provenance import Provenance
from osteon.storage.writer import write_case

TABLE = table_for(["femur_left", "femur_right"])
FILE_GRID = Grid((30, 20, 40), (2.0, 1.5, 1.5), (5.0, 9.0, 70.0), (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0))


@pytest.fixture
def truth() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """Labels as the file has them: its x axis runs to the patient's right."""
    ids = np.zeros(FILE_GRID.shape, np.uint8)
    ids[5:25, 8:14, 6:13], ids[4:22, 8:12, 28:32] = TABLE.ids["femur_left"], TABLE.ids["femur_right"]
    return ids


@pytest.fixture
def source(tmp_path: Path, truth: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Path:
    """The scan's dataset; its prepared cases are in ``prepared`` beside it."""
    order = Reorientation.to_lps(FILE_GRID)
    dataset = Dataset.create(str(tmp_path / "source"), "source", TABLE)
    for case_id in ("a", "b"):
        ids = np.ascontiguousarray(order.apply(truth))
        provenance = Provenance("nifti", case_id * 64, FILE_GRID, order)
        write_case(dataset, case_id, np.zeros(ids.shape, np.int16), ids, order.apply_grid(FILE_GRID), provenance)
    prepare(PrepareRequest(dataset.url, str(tmp_path / "prepared"), PrepareSpec(femurs=True)), scheduler="threads")
    return tmp_path / "source"


def osteon(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["restore", *map(str, arguments)])
    if isinstance(result.exception, OsteonError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def prepared(tmp_path: Path, case_id: str) -> Path:
    return tmp_path / "prepared" / "cases" / f"{case_id}.zarr"


def test_both_femurs_come_back_to_the_files_own_grid(
    source: Path, tmp_path: Path, truth: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
) -> None:
    output = tmp_path / "labels.nii.gz"
    result = osteon(source, output, prepared(tmp_path, "a-left"), prepared(tmp_path, "a-right"), "--json")
    image = sitk.ReadImage(str(output))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), truth)
    np.testing.assert_allclose(image.GetOrigin(), (70.0, 9.0, 5.0), atol=1e-4)
    assert json.loads(result.stdout)["labels"] == ["femur_left", "femur_right"]
    names = json.loads(output.with_name("labels.nii.gz.labels.json").read_text())
    assert names == {str(id_): name for name, id_ in TABLE.ids.items()}


def test_one_side_alone(source: Path, tmp_path: Path) -> None:
    assert "femur_left of b" in osteon(source, tmp_path / "left.nrrd", prepared(tmp_path, "b-left")).stdout


def test_what_cannot_be_restored_is_refused(source: Path, tmp_path: Path) -> None:
    left = prepared(tmp_path, "a-left")
    with pytest.raises(BadInput, match="several-scans"):
        osteon(source, tmp_path / "out.mha", left, prepared(tmp_path, "b-left"))
    with pytest.raises(BadInput, match="not-prepared"):
        osteon(source, tmp_path / "out.mha", source / "cases" / "a.zarr")
    other = Dataset.create(str(tmp_path / "other"), "other", TABLE)
    write_case(other, "a", np.zeros((9, 9, 9), np.int16), None, Grid((9, 9, 9)))
    with pytest.raises(BadInput, match="other-source"):
        osteon(tmp_path / "other", tmp_path / "out.mha", left)
    assert not (tmp_path / "out.mha").exists()
