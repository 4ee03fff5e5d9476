"""A result in every format is opened by other people's readers and shows the same bones."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any, get_args

import highdicom
import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk
import zarr

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.data.phantom.dicom import to_series
from osteon.serve.formats import CORTEX_HU, Result, ResultFile, write_result, write_scan_file
from osteon.serve.schemas import Format
from osteon.storage.case import open_case
from osteon.storage.export.dicom_seg import Algorithm
from osteon.storage.readers import ScanSource, find_scans, open_scan
from osteon.storage.writer import write_zarr

TABLE = table_for(["femur_left", "hip_left", "sacrum"])
FEMUR, HIP = TABLE.ids["femur_left"], TABLE.ids["hip_left"]
GRID = Grid((12, 20, 18), (2.0, 0.75, 0.5), (-40.0, 12.5, 3.0))
MODEL = Algorithm("bones", "0123456789abcdef")
Array = npt.NDArray[Any]


def some_labels() -> Array:
    labels = np.zeros(GRID.shape, np.uint8)
    labels[2:10, 3:12, 2:9], labels[3:9, 13:18, 4:14] = FEMUR, HIP
    return labels


@pytest.fixture
def result(tmp_path: Path) -> Result:
    """A result whose scan was a DICOM series: a femur with walls of two voxels, a hip bone, no sacrum."""
    labels = some_labels()
    hu = np.where(labels > 0, 900, -50).astype(np.int16)
    hu[4:8, 5:10, 4:7] = 100
    (tmp_path / "dicom").mkdir()
    for file in to_series("Doe-Jane", hu, GRID, (5,)):
        (tmp_path / "dicom" / file.name).write_bytes(file.to_bytes())
    [source] = find_scans(tmp_path / "dicom")
    assert isinstance(source, ScanSource)
    scan = open_scan(source, scratch=tmp_path / "scratch")
    write_zarr(str(tmp_path / "result.zarr"), scan.read(), labels, scan.grid, TABLE, scan.provenance)
    return Result("a1b2", open_case(str(tmp_path / "result.zarr")), MODEL, lambda: str(tmp_path / "dicom"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def affine_of(image: Any) -> Array:
    """A NIfTI image's affine from x, y, z to LPS."""
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine)


def test_nifti(result: Result, out: Path) -> None:
    labels: Any = nibabel.load(write_result(result, "nifti", out).path)
    scan: Any = nibabel.load(write_scan_file(result, out).path)
    np.testing.assert_array_equal(np.asarray(labels.dataobj).T, some_labels())
    np.testing.assert_array_equal(np.asarray(scan.dataobj).T, result.hu())
    np.testing.assert_array_equal(labels.affine, scan.affine)
    np.testing.assert_allclose(affine_of(scan)[:3, 3], GRID.origin_mm[::-1], atol=1e-4)


def test_nrrd_names_its_segments(result: Result, out: Path) -> None:
    image = sitk.ReadImage(write_result(result, "nrrd", out).path)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), some_labels())
    names = {image.GetMetaData(f"Segment{number}_Name") for number in range(2)}
    assert names == {"femur_left", "hip_left"}


def test_dicomseg(result: Result, out: Path) -> None:
    seg = highdicom.seg.segread(write_result(result, "dicomseg", out).path)
    assert [item.SegmentLabel for item in seg.SegmentSequence] == ["hip_left", "femur_left"]
    assert seg.SegmentSequence[0].SegmentAlgorithmName == "bones"
    volume = seg.get_volume(combine_segments=True)
    assert [int((volume.array == number).sum()) for number in (1, 2)] == [
        int((some_labels() == id_).sum()) for id_ in (HIP, FEMUR)
    ]


def test_dicomseg_needs_the_series(result: Result, out: Path) -> None:
    without = Result(result.id, result.case, result.model, lambda: result.case.store.url)
    with pytest.raises(BadInput) as caught:
        write_result(without, "dicomseg", out)
    assert caught.value.code == "needs-dicom"
    assert not list(out.iterdir())


def test_nothing_else_needs_the_series_again(result: Result, out: Path) -> None:
    def fetch() -> str:
        raise AssertionError("fetched")

    without = Result(result.id, result.case, result.model, fetch)
    others = [format_ for format_ in get_args(Format) if format_ != "dicomseg"]
    assert all(write_result(without, format_, out).path.exists() for format_ in others)


def test_omezarr_is_a_stored_zip_that_opens(result: Result, out: Path) -> None:
    file = write_result(result, "omezarr", out)
    with zipfile.ZipFile(file.path) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
        assert archive.namelist()[0] == "a1b2.zarr/zarr.json"
        archive.extractall(out)
    group = zarr.open_group(out / "a1b2.zarr", mode="r")
    np.testing.assert_array_equal(np.asarray(group["labels/bones/0"]), some_labels())
    np.testing.assert_array_equal(np.asarray(group["0"]), result.hu())
    attributes: Any = group["labels/bones"].attrs["ome"]
    colours = {entry["label-value"]: entry["rgba"] for entry in attributes["image-label"]["colors"]}
    measures = json.loads(write_result(result, "json", out).path.read_text())
    assert {bone["id"]: bone["color"] for bone in measures["bones"]} == {
        id_: f"#{bytes(colours[id_][:3]).hex()}" for id_ in (HIP, FEMUR)
    }


def test_json_measures_every_bone(result: Result, out: Path) -> None:
    document = json.loads(write_result(result, "json", out).path.read_text())
    assert document["model"] == {"name": "bones", "digest": "0123456789abcdef"}
    assert document["cortex_hu"] == CORTEX_HU
    bones = {bone["name"]: bone for bone in document["bones"]}
    assert set(bones) == {"femur_left", "hip_left"}
    assert bones["femur_left"]["volume_mm3"] == pytest.approx(8 * 9 * 7 * 0.75)
    assert bones["hip_left"]["hu"]["mean"] == 900
    assert 1.0 <= bones["femur_left"]["cortex"]["median_mm"] <= 1.7  # walls of 1 mm along x, 1.5 mm along y


def test_stl_of_one_bone_and_of_all(result: Result, out: Path) -> None:
    one = write_result(result, "stl", out, bone="hip_left")
    every = write_result(result, "stl", out)
    with zipfile.ZipFile(every.path) as archive:
        assert archive.namelist() == ["hip_left.stl", "femur_left.stl"]
        assert archive.read("hip_left.stl") == one.path.read_bytes()
    corners = np.frombuffer(one.path.read_bytes()[84:], np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]))
    low, high = corners["v"].reshape(-1, 3).min(0), corners["v"].reshape(-1, 3).max(0)
    inside = GRID.position_mm(np.argwhere(some_labels() == HIP))[:, ::-1]
    np.testing.assert_allclose(low, inside.min(0) - np.array([0.5, 0.75, 2]) / 2, atol=0.5)
    np.testing.assert_allclose(high, inside.max(0) + np.array([0.5, 0.75, 2]) / 2, atol=0.5)


@pytest.mark.parametrize("bone", ["sacrum", "tooth", "../../etc/passwd"])
def test_a_bone_that_is_not_there_is_refused(result: Result, out: Path, bone: str) -> None:
    with pytest.raises(BadInput, match="found were: hip_left, femur_left") as caught:
        write_result(result, "stl", out, bone=bone)
    assert caught.value.code == "unknown-bone"


def test_only_surfaces_come_bone_by_bone(result: Result, out: Path) -> None:
    with pytest.raises(BadInput) as caught:
        write_result(result, "nrrd", out, bone="hip_left")
    assert caught.value.code == "bone-format"


def test_no_file_is_called_after_the_patient(result: Result, out: Path) -> None:
    files: list[ResultFile] = [write_result(result, format_, out) for format_ in get_args(Format)]
    for file in [*files, write_scan_file(result, out)]:
        assert file.path.stat().st_size > 0
        assert file.name.startswith("a1b2")
    assert len({file.path for file in files}) == len(files)
    for file in files:
        if file.path.suffix != ".dcm":
            assert b"Doe-Jane" not in file.path.read_bytes()
