"""`osteon measure` on labels made on the spot, and on real ones."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from osteon.cli.main import app
from osteon.core.errors import BadInput, Conflict, OsteonError
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.storage.dataset import Dataset
from osteon.storage.export import write_scan
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case

TABLE = table_for(["femur_left", "sacrum"])
GRID = Grid((24, 30, 32), (2.0, 1.0, 1.0), (-400.0, 30.0, 15.0))
FEMUR, SACRUM = TABLE.ids["femur_left"], TABLE.ids["sacrum"]


def osteon_measure(*arguments: str, exit_code: int = 0) -> Result:
    """The command's result; a refusal is raised, as `osteon` itself would catch it."""
    result = CliRunner().invoke(app, ["measure", *arguments])
    if isinstance(result.exception, OsteonError):
        raise result.exception
    assert result.exit_code == exit_code, result.output
    return result


@pytest.fixture(scope="module")
def labels() -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[4:18, 6:22, 6:24] = FEMUR
    labels[20:, 3:10, 3:20] = SACRUM
    return labels


@pytest.fixture(scope="module")
def hu(
    labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """A femur whose walls are four voxels thick, two along z."""
    hu = np.where(labels == 0, -100, 300)
    hu[labels == FEMUR] = 1200
    hu[6:16, 10:18, 10:20] = -50
    return hu.astype(np.int16)


@pytest.fixture
def files(
    tmp_path: Path,
    labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    hu: np.ndarray[tuple[int, ...], np.dtype[np.int16]],
) -> Path:
    write_scan(tmp_path / "case.nrrd", labels, GRID, None, table=TABLE)
    write_scan(tmp_path / "ct.nii.gz", hu, GRID, None, table=None)
    return tmp_path


def test_a_label_file_gives_tables_and_meshes(files: Path) -> None:
    out = files / "out"
    result = osteon_measure(str(files / "case.nrrd"), "--out", str(out))

    assert "femur_left" in result.stdout
    assert "cut off" in result.stdout  # the sacrum
    (subject,) = json.loads((out / "measurements.json").read_text())
    assert (subject["subject"], subject["cortex_hu"]) == ("case", None)
    assert [bone["name"] for bone in subject["bones"]] == ["sacrum", "femur_left"]
    femur = subject["bones"][1]
    assert femur["volume_mm3"] == pytest.approx(14 * 16 * 18 * 2)
    assert femur["centroid_mm"] == pytest.approx(GRID.position_mm([10.5, 13.5, 14.5]).tolist())
    assert femur["hu"] is femur["cortex"] is None
    rows = list(csv.DictReader((out / "measurements.csv").read_text().splitlines()))
    assert [(row["subject"], row["name"], row["voxels"]) for row in rows] == [
        ("case", "sacrum", "476"),
        ("case", "femur_left", "4032"),
    ]
    assert sorted(path.name for path in (out / "case").iterdir()) == ["femur_left.vtp", "sacrum.vtp"]
    assert (out / "case" / "sacrum.vtp").read_text().startswith("<?xml")


def test_an_image_gives_hu_and_cortex(files: Path) -> None:
    options = ("--image", str(files / "ct.nii.gz"), "--cortex-hu", "600", "--mesh", "ply", "--json")
    result = osteon_measure(str(files / "case.nrrd"), "--out", str(files / "out"), *options)

    (subject,) = json.loads(result.stdout)
    assert subject == json.loads((files / "out" / "measurements.json").read_text())[0]
    sacrum, femur = subject["bones"]
    assert (sacrum["hu"]["mean"], sacrum["hu"]["sd"], sacrum["cortex"]["mean_mm"]) == (300, 0, None)
    assert femur["cortex"]["median_mm"] == pytest.approx(4.0, rel=0.05)
    assert 0.5 < femur["cortex"]["measured_share"] < 1  # rays from the edges miss the marrow
    assert b"property float thickness_mm" in (files / "out" / "case" / "femur_left.ply").read_bytes()


def test_without_meshes_there_are_only_tables(files: Path) -> None:
    osteon_measure(str(files / "case.nrrd"), "--out", str(files / "out"), "--mesh", "none")

    assert sorted(path.name for path in (files / "out").iterdir()) == ["measurements.csv", "measurements.json"]


def test_cases_of_a_dataset_bring_their_scan(
    tmp_path: Path,
    labels: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
    hu: np.ndarray[tuple[int, ...], np.dtype[np.int16]],
) -> None:
    dataset = Dataset.create(str(tmp_path / "dataset"), "two", TABLE)
    write_case(dataset, "one", hu, labels, GRID)
    write_case(dataset, "two", hu, labels, GRID)
    result = osteon_measure(dataset.url, "--cases", "two", "--out", str(tmp_path / "out"), "--mesh", "stl", "--json")

    (subject,) = json.loads(result.stdout)
    assert (subject["subject"], subject["source"]) == ("two", dataset.case("two").store.url)
    assert subject["bones"][0]["hu"]["mean"] == 300
    assert (tmp_path / "out" / "two" / "sacrum.stl").exists()


def test_results_go_to_object_storage(files: Path, s3_url: str) -> None:
    osteon_measure(str(files / "case.nrrd"), "--out", s3_url, "--mesh", "ply")

    names = ["case/femur_left.ply", "case/sacrum.ply", "measurements.csv", "measurements.json"]
    assert open_store(s3_url).list() == names


def test_one_bad_label_file_never_stops_the_others(files: Path) -> None:
    (files / "torn.nrrd").write_bytes((files / "case.nrrd").read_bytes()[:400])
    empty = np.zeros(GRID.shape, np.uint8)
    write_scan(files / "empty.mha", empty, GRID, None, table=TABLE)

    places = [str(files / name) for name in ("torn.nrrd", "case.nrrd", "empty.mha")]
    result = osteon_measure(*places, "--out", str(files / "out"), "--json", exit_code=3)

    assert [subject["subject"] for subject in json.loads(result.stdout)] == ["case"]
    torn, bare = result.stderr.splitlines()
    assert "torn.nrrd" in torn
    assert "empty.mha: no voxel is labelled [no-labelled-voxels]" in bare


def test_labels_without_a_voxel_are_refused_in_one_line(files: Path) -> None:
    write_scan(files / "empty.mha", np.zeros(GRID.shape, np.uint8), GRID, None, table=TABLE)

    with pytest.raises(BadInput, match=r"empty\.mha: no voxel is labelled \[no-labelled-voxels\]"):
        osteon_measure(str(files / "empty.mha"), "--out", str(files / "out"))
    assert not (files / "out" / "measurements.json").exists()


def test_measurements_are_never_overwritten(files: Path) -> None:
    osteon_measure(str(files / "case.nrrd"), "--out", str(files / "out"), "--mesh", "none")

    with pytest.raises(Conflict, match=r"already.*measured"):
        osteon_measure(str(files / "case.nrrd"), "--out", str(files / "out"))


def test_a_threshold_without_a_scan_is_refused(files: Path) -> None:
    with pytest.raises(BadInput, match="no-image"):
        osteon_measure(str(files / "case.nrrd"), "--out", str(files / "out"), "--cortex-hu", "600")


@pytest.mark.realdata
def test_real_labels_give_closed_bones(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "ts-abdomen-pelvis-nifti"
    files = ("--labels-map", str(folder / "labels_v1.json"), "--image", str(folder / "example_ct.nii.gz"))
    result = osteon_measure(
        str(folder / "label_v1_uint8.nii.gz"), *files, "--cortex-hu", "300", "--out", str(tmp_path), "--json"
    )

    bones = {bone["name"]: bone for bone in json.loads(result.stdout)[0]["bones"]}
    assert all(bone["is_watertight"] for bone in bones.values())
    assert 300_000 < bones["hip_left"]["volume_mm3"] < 450_000
    assert bones["hip_left"]["centroid_mm"][2] > bones["hip_right"]["centroid_mm"][2]  # left is where x grows
    assert bones["hip_left"]["cortex"]["mean_mm"] == pytest.approx(bones["hip_right"]["cortex"]["mean_mm"], rel=0.2)
