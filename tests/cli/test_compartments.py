"""`osteon compartments` on contours made on the spot, and what `osteon measure` makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from osteon.cli.main import app
from osteon.core.errors import BadInput, OsteonError
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.core.volume import Array
from osteon.storage.export import write_scan

TABLE = table_for(["femur_left", "sacrum"])
FEMUR, SACRUM = TABLE.ids["femur_left"], TABLE.ids["sacrum"]
GRID = Grid((24, 20, 22), (2.0, 1.0, 1.0), (-400.0, 30.0, 15.0), (1, 0, 0, 0, -1, 0, 0, 0, -1))  # not LPS


def osteon(*arguments: object) -> Result:
    """The command's result; a refusal is raised, as `osteon` itself would catch it."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, OsteonError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def outer() -> Array:
    """A femur of 16 x 14 x 12 voxels, and a sacrum that is not asked for."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:20, 3:17, 6:18] = FEMUR
    labels[:2, :3, :3] = SACRUM
    return labels


@pytest.fixture
def inner() -> Array:
    """Its marrow: 12 x 8 x 6 voxels, a cortex of 2 x 2 mm along z and of 3 x 1 mm along y and x."""
    labels = np.zeros(GRID.shape, np.uint8)
    labels[6:18, 6:14, 9:15] = FEMUR
    return labels


@pytest.fixture
def folder(tmp_path: Path, outer: Array, inner: Array) -> Path:
    write_scan(tmp_path / "outer.nii.gz", outer, GRID, None, table=TABLE)
    write_scan(tmp_path / "inner.mha", inner, GRID, None, table=TABLE)
    return tmp_path


def test_compartments_lie_on_the_grid_of_the_outer_contour(folder: Path, outer: Array, inner: Array) -> None:
    output = folder / "out.nii.gz"
    pair = (folder / "outer.nii.gz", folder / "inner.mha")
    done = osteon("compartments", *pair, output, "--bone", "Femur left", "--json")

    image = nibabel.load(output)
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, (outer == FEMUR) + np.uint8(inner == FEMUR))  # type: ignore[attr-defined]  # nibabel's load promises no array
    np.testing.assert_allclose(image.affine, nibabel.load(folder / "outer.nii.gz").affine)  # type: ignore[attr-defined]  # likewise
    cortical, trabecular = (16 * 14 * 12 - 12 * 8 * 6) * 2 / 1000, 12 * 8 * 6 * 2 / 1000
    assert json.loads(done.stdout) == {
        "output": str(output),
        "volumes_ml": {"cortical": round(cortical, 3), "trabecular": round(trabecular, 3)},
    }


def test_without_a_name_every_label_counts(folder: Path) -> None:
    done = osteon("compartments", folder / "outer.nii.gz", folder / "inner.mha", folder / "out.nrrd")

    assert f"cortical {(16 * 14 * 12 - 12 * 8 * 6 + 2 * 3 * 3) * 2 / 1000:.2f} ml" in done.stdout


@pytest.mark.parametrize("name", ["out.nii.gz", "out.nrrd"])
def test_measure_takes_the_output_as_it_is(folder: Path, name: str) -> None:
    osteon("compartments", folder / "outer.nii.gz", folder / "inner.mha", folder / name, "--bone", "femur_left")
    done = osteon("measure", folder / name, "--out", folder / "measured", "--mesh", "none", "--json")

    cortical, trabecular = json.loads(done.stdout)[0]["bones"]
    assert (cortical["name"], trabecular["name"]) == ("cortical", "trabecular")
    assert trabecular["volume_mm3"] == pytest.approx(12 * 8 * 6 * 2)
    assert cortical["cortex"]["median_mm"] == pytest.approx(3.0, abs=0.1)


def test_other_grids_are_refused(folder: Path, inner: Array) -> None:
    moved = Grid(GRID.shape, GRID.spacing_mm, (-399.0, 30.0, 15.0), GRID.direction)
    write_scan(folder / "moved.mha", inner, moved, None, table=TABLE)

    with pytest.raises(BadInput, match=r"moved\.mha: it lies on another grid .*grid-mismatch"):
        osteon("compartments", folder / "outer.nii.gz", folder / "moved.mha", folder / "out.mha")
    assert not (folder / "out.mha").exists()


def test_a_bone_that_is_not_there_is_refused(folder: Path) -> None:
    pair = (folder / "outer.nii.gz", folder / "inner.mha")
    with pytest.raises(BadInput, match=r"no label is called 'tibia_left' \[no-bone\] — it has sacrum, femur_left"):
        osteon("compartments", *pair, folder / "out.mha", "--bone", "tibia_left")
    with pytest.raises(BadInput, match=r"inner\.mha: no voxel is labelled sacrum \[no-labelled-voxels\]"):
        osteon("compartments", *pair, folder / "out.mha", "--bone", "sacrum")


def test_nothing_is_overwritten(folder: Path) -> None:
    before = (folder / "inner.mha").read_bytes()
    with pytest.raises(BadInput, match="file-exists"):
        osteon("compartments", folder / "outer.nii.gz", folder / "inner.mha", folder / "inner.mha")
    assert (folder / "inner.mha").read_bytes() == before
