"""`osteon export` on a small dataset."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner

from osteon.cli.main import app
from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Reorientation
from osteon.core.labels import table_for
from osteon.core.volume import Array
from osteon.storage.dataset import Dataset
from osteon.storage.provenance import Provenance
from osteon.storage.writer import write_case

SOURCE = Grid((4, 5, 6), (2.0, 0.5, 0.7), (10.0, -20.0, 30.0), (-1, 0, 0, 0, 0, 1, 0, -1, 0))
ORDER = Reorientation.to_lps(SOURCE)
HU = np.random.default_rng(0).integers(-1000, 1500, SOURCE.shape).astype(np.int16)
TABLE = table_for(["femur_left"])
LABELS = np.where(HU > 300, TABLE.ids["femur_left"], 0).astype(np.uint8)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("dataset"))
    made = Dataset.create(url, "small", TABLE)
    provenance = Provenance("nifti", "0" * 64, SOURCE, ORDER)
    image, grid = ORDER.apply(HU).astype(np.int16), ORDER.apply_grid(SOURCE)
    write_case(made, "one", image, ORDER.apply(LABELS), grid, provenance)
    write_case(made, "bare", image, None, grid, provenance)
    return url


@pytest.mark.parametrize(("what", "expected"), [("labels", LABELS), ("image", HU)])
def test_voxels_land_on_the_source_grid(dataset: str, tmp_path: Path, what: str, expected: Array) -> None:
    output = tmp_path / "out.nii.gz"
    done = CliRunner().invoke(app, ["export", dataset, "one", str(output), "--what", what, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {"case": "one", "output": str(output), "what": what, "shape": [4, 5, 6]}
    image = nibabel.load(output)
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, expected)  # type: ignore[attr-defined]
    assert output.with_name("out.nii.gz.labels.json").exists() == (what == "labels")


def test_a_case_without_labels_says_so(dataset: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["export", dataset, "bare", str(tmp_path / "out.mha")])
    assert isinstance(done.exception, BadInput)
    assert done.exception.code == "no-labels"
    assert list(tmp_path.iterdir()) == []
