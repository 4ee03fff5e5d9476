import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import BONES
from osteon.data.phantom import phantom, write_phantoms
from osteon.data.phantom.files import REQUEST


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def grid_of(image: sitk.Image) -> Grid:
    return Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())


def test_nifti_phantoms_hold_the_scan_and_its_labels(tmp_path: Path) -> None:
    written = write_phantoms(tmp_path / "new" / "phantoms", cases=2, seed=4)

    assert [case.case_id for case in written] == ["phantom-000", "phantom-001"]
    for number, case in enumerate(written):
        made = phantom(4, case=number)
        for path, array in ((case.scan, made.hu), (case.labels, made.labels)):
            image = sitk.ReadImage(path)
            np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
            assert grid_of(image).matches(made.grid)
    names = json.loads((tmp_path / "new" / "phantoms" / "labels.json").read_text())
    assert len(names) == 6
    assert all(BONES.names[int(id_)] == name for id_, name in names.items())


def test_dicom_phantoms_are_series_with_nifti_labels(tmp_path: Path) -> None:
    (case,) = write_phantoms(tmp_path, cases=1, seed=4, format="dicom")
    made = phantom(4)

    reader = sitk.ImageSeriesReader()
    (series,) = reader.GetGDCMSeriesIDs(str(case.scan))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(case.scan), series))
    image = reader.Execute()
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), made.hu)
    assert grid_of(image).matches(made.grid)
    assert grid_of(sitk.ReadImage(case.labels)).matches(made.grid)


@pytest.mark.parametrize("format", ["nifti", "dicom"])
def test_the_same_call_gives_the_same_bytes_and_a_second_one_changes_nothing(format: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_phantoms(tmp_path / name, cases=1, seed=9, format=format)  # type: ignore[arg-type]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*ct*") if path.is_file()}
    write_phantoms(tmp_path / "a", cases=1, seed=9, format=format)  # type: ignore[arg-type]

    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_an_interrupted_call_is_finished_by_the_same_call(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def stop(_: object) -> None:
        raise Stop

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write_phantoms(whole, cases=2, seed=9)
    with pytest.raises(Stop):
        write_phantoms(broken, cases=2, seed=9, on_case=stop)
    (broken / "phantom-000" / "labels.nii.gz").unlink()  # as if killed between scan and labels
    write_phantoms(broken, cases=2, seed=9)

    assert contents(broken) == contents(whole)


def test_more_cases_of_the_same_seed_are_added(tmp_path: Path) -> None:
    write_phantoms(tmp_path, cases=1, seed=9)
    first = contents(tmp_path)
    write_phantoms(tmp_path, cases=2, seed=9)

    assert first.items() < contents(tmp_path).items()


def test_quirks_are_dealt_out_in_turn(tmp_path: Path) -> None:
    written = write_phantoms(tmp_path, cases=3, seed=9, format="dicom", quirks=("descending", "missing-slice"))

    assert [case.quirk for case in written] == ["descending", "missing-slice", "descending"]
    num_slices = [len(list(case.scan.iterdir())) for case in written]
    assert num_slices[1] == num_slices[0] - 1 == num_slices[2] - 1


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("important")

    with pytest.raises(BadInput) as refused:
        write_phantoms(tmp_path, cases=1, seed=0)
    assert refused.value.code == "foreign-folder"
    assert contents(tmp_path) == {"thesis.txt": b"important"}


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(BadInput) as refused:
        write_phantoms(tmp_path / "file", cases=1, seed=0)
    assert refused.value.code == "foreign-folder"


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"bones": 24}, {"format": "dicom"}, {"format": "dicom", "quirks": ("rle",)}]
)
def test_phantoms_of_another_request_are_refused(other: dict[str, object], tmp_path: Path) -> None:
    request: dict[str, object] = {"seed": 0, "bones": 6, "format": "nifti", "quirks": []}
    (tmp_path / REQUEST).write_text(json.dumps(request))
    asked: dict[str, object] = {"seed": 0, "bones": 6, "format": "nifti", "quirks": ()} | other

    with pytest.raises(BadInput) as refused:
        write_phantoms(tmp_path, cases=1, **asked)  # type: ignore[arg-type]
    assert refused.value.code == "other-phantoms"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"cases": 0}, "phantom-cases"),
        ({"seed": -1}, "phantom-seed"),
        ({"bones": 7}, "phantom-bones"),
        ({"format": "png"}, "phantom-format"),
        ({"quirks": ("wavy",), "format": "dicom"}, "phantom-quirk"),
        ({"quirks": ("rle",)}, "phantom-quirk"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(
    wrong: dict[str, object], code: str, tmp_path: Path
) -> None:
    write: Callable[..., object] = write_phantoms
    with pytest.raises(BadInput) as refused:
        write(tmp_path / "new", **({"cases": 1, "seed": 0} | wrong))

    assert refused.value.code == code
    assert not (tmp_path / "new").exists()
