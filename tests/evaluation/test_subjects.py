"""Label files, folders of masks, cases and datasets, opened for measuring."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from osteon.core.errors import BadInput, BadScan
from osteon.core.geometry import Grid
from osteon.core.labels import BONES, LabelTable, table_for
from osteon.evaluation.subjects import Case, LabelFile, find_subjects
from osteon.storage.dataset import Dataset
from osteon.storage.export import write_scan
from osteon.storage.writer import write_case

FEMUR, HIP = BONES.ids["femur_left"], BONES.ids["hip_left"]
TABLE = table_for(["femur_left", "hip_left"])
Labels = npt.NDArray[np.uint8]


@pytest.fixture
def labels() -> Labels:
    return np.random.default_rng(1).choice(np.array([0, FEMUR, HIP], np.uint8), (6, 7, 8))


@pytest.fixture
def grid(oblique: Grid) -> Grid:
    """Turned so far that LPS order needs swaps or flips when read from a file."""
    return oblique.crop((3, 4, 5), (6, 7, 8))


def only(place: Path | str, **options: Path | None) -> LabelFile | Case:
    given = {"image": None, "labels_map": None} | options
    (subject,) = find_subjects([str(place)], cases=None, **given)
    return subject


@pytest.mark.parametrize("name", ["scan.nii.gz", "scan.mha", "scan.nrrd"])
def test_what_export_writes_is_read_with_its_names_on_its_own_grid(
    tmp_path: Path, labels: Labels, grid: Grid, name: str
) -> None:
    write_scan(tmp_path / name, labels, grid, None, table=TABLE)

    subject = only(tmp_path / name)
    opened = subject.open()

    assert (subject.name, subject.source) == ("scan", str(tmp_path / name))
    assert opened.table == TABLE
    assert opened.hu is None
    for id_ in (FEMUR, HIP):
        found = opened.grid.position_mm(np.argwhere(opened.labels == id_))
        expected = grid.position_mm(np.argwhere(labels == id_))
        np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-3)


def test_a_file_without_names_needs_a_map(tmp_path: Path, labels: Labels, grid: Grid) -> None:
    path = tmp_path / "labels.nii.gz"
    write_scan(path, labels, grid, None, table=None)
    with pytest.raises(BadInput, match=r"labels\.nii\.gz: nothing says.*no-label-names.*--labels-map"):
        only(path).open()

    names = tmp_path / "names.json"
    names.write_text(json.dumps({str(FEMUR): "Femur left", str(HIP): "my plate"}))
    opened = only(path, labels_map=names).open()

    assert opened.table == table_for(["femur_left", "my_plate"])
    assert (opened.labels == opened.table.ids["my_plate"]).sum() == (labels == HIP).sum()


def test_an_image_must_lie_on_the_labels_grid(tmp_path: Path, labels: Labels, grid: Grid) -> None:
    hu = np.where(labels == 0, -1000, np.arange(labels.size).reshape(labels.shape)).astype(np.int16)
    write_scan(tmp_path / "labels.nrrd", labels, grid, None, table=TABLE)
    write_scan(tmp_path / "ct.nii.gz", hu, grid, None, table=None)
    write_scan(tmp_path / "other.nii.gz", hu[1:], grid.crop((2, 0, 0), (5, 7, 8)), None, table=None)

    opened = only(tmp_path / "labels.nrrd", image=tmp_path / "ct.nii.gz").open()

    assert opened.hu is not None
    assert sorted(opened.hu[opened.labels == HIP]) == sorted(hu[labels == HIP])
    with pytest.raises(BadScan, match="label-grid"):
        only(tmp_path / "labels.nrrd", image=tmp_path / "other.nii.gz").open()
    with pytest.raises(BadInput, match=r"3 scans are there.*several-scans"):
        only(tmp_path / "labels.nrrd", image=tmp_path).open()


def test_a_folder_of_masks_is_one_subject(tmp_path: Path, labels: Labels) -> None:
    for body in ("s1", "s2"):
        masks = tmp_path / body / "segmentations"
        masks.mkdir(parents=True)
        for name, id_ in (("femur_left", FEMUR), ("hip_left", HIP)):
            sitk.WriteImage(sitk.GetImageFromArray((labels == id_).astype(np.uint8)), masks / f"{name}.nii.gz")

    subject = only(tmp_path / "s1")
    opened = subject.open()

    assert subject.name == "s1"
    np.testing.assert_array_equal(np.bincount(opened.labels.ravel()), np.bincount(labels.ravel()))
    with pytest.raises(BadInput, match=r"labels of 2 bodies.*several-labels"):
        only(tmp_path).open()


@pytest.fixture
def dataset(tmp_path: Path, labels: Labels) -> Dataset:
    upright = Grid(labels.shape)
    made = Dataset.create(str(tmp_path / "dataset"), "small", TABLE)
    hu = np.arange(labels.size, dtype=np.int16).reshape(labels.shape)
    write_case(made, "one", hu, labels, upright)
    write_case(made, "two", hu, labels, upright)
    write_case(made, "bare", hu, None, upright)
    return made


def test_a_dataset_gives_its_labelled_cases_or_those_named(dataset: Dataset, labels: Labels) -> None:
    every = find_subjects([dataset.url], cases=None, image=None, labels_map=None)
    named = find_subjects([dataset.url], cases=["two"], image=None, labels_map=None)
    case = only(dataset.case("one").store.url)

    assert [subject.name for subject in every] == ["one", "two"]
    assert [subject.name for subject in named] == ["two"]
    assert case.name == "one"
    opened = case.open()
    np.testing.assert_array_equal(opened.labels, labels)
    assert opened.hu is not None
    np.testing.assert_array_equal(opened.hu.ravel(), np.arange(labels.size))


def test_what_cannot_belong_together_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    place, file, scan = dataset.url, str(tmp_path / "labels.nrrd"), tmp_path / "ct.nii.gz"
    for places, cases, image, code in (
        ([file, file.replace("labels", "more")], None, scan, "image-and-several"),
        ([place], ["one"], scan, "image-and-several"),
        ([file], ["one"], None, "cases-and-files"),
        ([file, file.replace(".nrrd", ".mha")], None, None, "same-name"),
        ([place, dataset.case("one").store.url], None, None, "same-name"),
        ([place], ["three"], None, "no-case"),
        ([str(tmp_path / "nowhere")], None, None, "no-dataset"),
    ):
        with pytest.raises(BadInput) as caught:
            find_subjects(places, cases=cases, image=image, labels_map=None)
        assert caught.value.code == code


def test_files_of_one_name_are_called_after_their_folders(tmp_path: Path) -> None:
    places = [str(tmp_path / name) for name in ("a/labels.nrrd", "b/labels.nii.gz", "b/other.nrrd")]

    subjects = find_subjects(places, cases=None, image=None, labels_map=None)

    assert [subject.name for subject in subjects] == ["a-labels", "b-labels", "other"]


def test_a_map_of_names_is_not_for_cases(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="names-known"):
        find_subjects([dataset.url], cases=None, image=None, labels_map=tmp_path / "names.json")


def test_a_dataset_without_labels_and_a_missing_file_say_so(tmp_path: Path) -> None:
    empty = Dataset.create(str(tmp_path / "empty"), "empty", LabelTable(()))
    with pytest.raises(BadInput, match=r"no labelled case.*no-cases"):
        find_subjects([empty.url], cases=None, image=None, labels_map=None)
    with pytest.raises(BadInput, match=r"no such file.*no-source"):
        only(tmp_path / "gone.nrrd").open()
    (tmp_path / "folder").mkdir()
    with pytest.raises(BadInput, match=r"holds no label files.*no-source"):
        only(tmp_path / "folder").open()
