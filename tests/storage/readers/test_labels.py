"""Labels on a scan's grid: by physical position, with Osteon's ids, nothing guessed."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # its own documentation's name

from osteon.core.errors import BadScan
from osteon.core.labels import BONES, LabelTable, table_for
from osteon.storage.readers import (
    LabelName,
    LabelSource,
    Scan,
    labels_digest,
    read_labels,
    read_labels_alone,
    source_digest,
)
from osteon.storage.readers.source import ScanSource

Hu = npt.NDArray[np.int16]
Labels = npt.NDArray[np.uint8]
Write = Callable[..., Path]
NAMES = {1: "femur_left", 2: "hip_left", 7: "liver"}
TABLE = table_for(["femur_left", "hip_left"])
FEMUR, HIP = BONES.ids["femur_left"], BONES.ids["hip_left"]


@pytest.fixture
def scan(write_nifti: Write, open_one: Callable[..., Scan], hu: Hu) -> Scan:
    return open_one(write_nifti(hu))


@pytest.fixture
def labels(hu: Hu) -> Labels:
    return np.random.default_rng(1).choice(np.array([0, 0, 1, 2, 7], np.uint8), hu.shape)


@pytest.fixture
def expected(labels: Labels) -> Labels:
    """The labels as Osteon's ids; the liver is no bone."""
    return np.select([labels == 1, labels == 2], [FEMUR, HIP], 0).astype(np.uint8)


def labelmap(path: Path, names: Mapping[int, str] | None = None) -> LabelSource:
    entries = tuple(LabelName(0, id_, name) for id_, name in (NAMES if names is None else names).items())
    return LabelSource("labelmap", (str(path),), entries, path.name)


def masks(folder: Path) -> LabelSource:
    files = sorted(folder.iterdir())
    names = tuple(LabelName(number, 1, file.name.split(".")[0]) for number, file in enumerate(files))
    return LabelSource("masks", tuple(map(str, files)), names, folder.name)


def code_of(source: LabelSource, scan: Scan, table: LabelTable = TABLE) -> str:
    with pytest.raises(BadScan) as caught:
        read_labels(source, scan, table)
    assert caught.value.where
    return caught.value.code


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "float32", "float64"])
def test_ids_are_osteons_whatever_the_number_type(
    write_nifti: Write, scan: Scan, labels: Labels, expected: Labels, dtype: str
) -> None:
    found = read_labels(labelmap(write_nifti(labels.astype(dtype), name="l.nii.gz")), scan, TABLE)
    np.testing.assert_array_equal(found.read(), expected)
    assert found.read().dtype == TABLE.dtype
    assert found.ids == tuple(sorted((FEMUR, HIP)))
    assert found.corrections == ("labels-dropped: no bones: liver",)
    again = pickle.loads(pickle.dumps(found))
    np.testing.assert_array_equal(again.read_slab(2, 5), expected[2:5])


@pytest.mark.parametrize("name", ["l.mha", "l.nrrd", "l.nii"])
def test_every_format_holds_labels(tmp_path: Path, scan: Scan, labels: Labels, expected: Labels, name: str) -> None:
    image = sitk.GetImageFromArray(labels)
    image.SetSpacing((0.7, 0.5, 2.0))
    sitk.WriteImage(image, str(tmp_path / name), True)
    np.testing.assert_array_equal(read_labels(labelmap(tmp_path / name), scan, TABLE).read(), expected)


def test_labels_stored_in_another_order_are_matched_by_position(
    write_nifti: Write, scan: Scan, labels: Labels, expected: Labels
) -> None:
    flipped = np.diag([-0.7, 0.5, 2.0, 1.0])
    flipped[1, 3] = -0.5 * (labels.shape[1] - 1)
    path = write_nifti(labels[:, ::-1], flipped, name="l.nii.gz")
    np.testing.assert_array_equal(read_labels(labelmap(path), scan, TABLE).read(), expected)


@pytest.mark.parametrize("change", ["shape", "origin", "spacing"])
def test_labels_on_another_grid_are_refused(write_nifti: Write, scan: Scan, labels: Labels, change: str) -> None:
    affine = np.diag([-0.7, -0.5, 2.0, 1.0])
    if change == "origin":
        affine[0, 3] = 0.2
    if change == "spacing":
        affine[2, 2] = 2.1
    path = write_nifti(labels[:-1] if change == "shape" else labels, affine, name="l.nii.gz")
    assert code_of(labelmap(path), scan) == "label-grid"


def test_positions_that_differ_by_rounding_are_the_same_grid(
    write_nifti: Write, scan: Scan, labels: Labels, expected: Labels
) -> None:
    path = write_nifti(labels, np.diag([-0.70001, -0.5, 2.0, 1.0]), name="l.nii.gz")
    np.testing.assert_array_equal(read_labels(labelmap(path), scan, TABLE).read(), expected)


def test_on_request_labels_are_taken_at_the_nearest_voxel(
    write_nifti: Write, scan: Scan, labels: Labels, expected: Labels
) -> None:
    shifted = np.diag([-0.7, -0.5, 2.0, 1.0])
    shifted[2, 3] = 1.8  # the label's slice n lies nearest to the scan's n + 1
    found = read_labels(labelmap(write_nifti(labels, shifted, name="l.nii.gz")), scan, TABLE, resample=True)
    np.testing.assert_array_equal(found.read()[1:], expected[:-1])
    assert not found.read()[0].any()
    np.testing.assert_array_equal(found.read_slab(3, 5), found.read()[3:5])
    assert "labels-resampled: taken at the nearest voxel" in found.corrections


def test_labels_of_a_scan_made_upright_follow_it(
    write_nifti: Write, open_one: Callable[..., Scan], hu: Hu, labels: Labels, expected: Labels
) -> None:
    sheared = np.diag([-0.7, -0.5, 2.0, 1.0])
    sheared[1, 2] = -0.5
    upright = open_one(write_nifti(hu, sheared, lambda header: header.set_qform(None, code=0)), allow_gaps=True)
    path = write_nifti(labels, sheared, lambda header: header.set_qform(None, code=0), name="l.nii.gz")
    found = read_labels(labelmap(path), upright, TABLE).read()
    for number in range(len(hu)):
        np.testing.assert_array_equal(found[number, number : number + 9], expected[number])


@pytest.mark.parametrize("unknown", [9, 255, -3, 70000])
def test_ids_without_a_name_are_refused(write_nifti: Write, scan: Scan, labels: Labels, unknown: int) -> None:
    values = labels.astype(np.int32)
    values[1, 2, 3] = unknown
    path = write_nifti(values, name="l.nii.gz")
    with pytest.raises(BadScan, match=f"label ids {unknown} have no name.*--labels-map") as caught:
        read_labels(labelmap(path), scan, TABLE)
    assert caught.value.code == "unknown-label-id"


@pytest.mark.parametrize("value", [1.5, np.nan, np.inf])
def test_values_that_are_no_ids_are_refused(write_nifti: Write, scan: Scan, labels: Labels, value: float) -> None:
    values = labels.astype(np.float32)
    values[0, 0, 0] = value
    assert code_of(labelmap(write_nifti(values, name="l.nii.gz")), scan) == "label-values"


def test_empty_labels_are_kept(write_nifti: Write, scan: Scan, labels: Labels) -> None:
    found = read_labels(labelmap(write_nifti(np.zeros_like(labels), name="l.nii.gz")), scan, TABLE)
    assert found.ids == ()
    assert not found.read().any()


def test_two_ids_may_mean_one_bone(write_nifti: Write, scan: Scan, labels: Labels) -> None:
    names = {1: "Femur Left", 2: "left_femur", 7: "hip_left"}
    found = read_labels(labelmap(write_nifti(labels, name="l.nii.gz"), names), scan, TABLE)
    np.testing.assert_array_equal(found.read() == FEMUR, (labels == 1) | (labels == 2))


def test_custom_labels_keep_the_tables_ids(write_nifti: Write, scan: Scan, labels: Labels) -> None:
    table = table_for(["femur_left", "screw", "plate"])
    names = {1: "femur_left", 2: "plate", 7: "screw"}
    found = read_labels(labelmap(write_nifti(labels, name="l.nii.gz"), names), scan, table).read()
    np.testing.assert_array_equal(found == table.ids["screw"], labels == 7)
    np.testing.assert_array_equal(found == table.ids["plate"], labels == 2)


class TestMasks:
    @pytest.fixture
    def folder(self, tmp_path: Path, write_nifti: Write, labels: Labels) -> Path:
        (tmp_path / "segmentations").mkdir()
        for id_, name in NAMES.items():
            mask = (labels == id_).astype(np.uint8) * (255 if id_ == 2 else 1)
            write_nifti(mask, name=f"segmentations/{name}.nii.gz")
        return tmp_path / "segmentations"

    def test_masks_are_merged_by_name(self, folder: Path, scan: Scan, expected: Labels) -> None:
        found = read_labels(masks(folder), scan, TABLE)
        np.testing.assert_array_equal(found.read(), expected)
        assert found.ids == tuple(sorted((FEMUR, HIP)))
        assert found.corrections == ("labels-dropped: no bones: liver",)

    def test_where_masks_overlap_the_smallest_id_wins(
        self, folder: Path, write_nifti: Write, scan: Scan, expected: Labels
    ) -> None:
        assert HIP < FEMUR
        both = (expected == FEMUR) | (expected == HIP)
        write_nifti(both.astype(np.uint8), name="segmentations/femur_left.nii.gz")
        found = read_labels(masks(folder), scan, TABLE)
        np.testing.assert_array_equal(found.read(), expected)
        count = int((expected == HIP).sum())
        assert (
            f"labels-overlap: {count} voxels lie in several structures; the smallest id was kept" in found.corrections
        )

    def test_masks_on_several_grids_are_refused(
        self, folder: Path, write_nifti: Write, scan: Scan, labels: Labels
    ) -> None:
        write_nifti(labels[:-1], name="segmentations/hip_left.nii.gz")
        assert code_of(masks(folder), scan) == "label-grid"

    def test_masks_with_fractions_are_refused(
        self, folder: Path, write_nifti: Write, scan: Scan, labels: Labels
    ) -> None:
        write_nifti(labels * np.float32(0.3), name="segmentations/hip_left.nii.gz")
        assert code_of(masks(folder), scan) == "label-values"

    def test_a_damaged_mask_is_refused(self, folder: Path, scan: Scan) -> None:
        file = folder / "hip_left.nii.gz"
        file.write_bytes(file.read_bytes()[:-6])
        assert code_of(masks(folder), scan) == "corrupt-compression"


def test_layers_of_a_segmentation_are_laid_over_each_other(tmp_path: Path, scan: Scan, labels: Labels) -> None:
    femur, hip = labels == 1, (labels == 2) | (labels == 1)
    layers = np.stack([femur * np.uint8(4), hip * np.uint8(9)], axis=-1)
    header = (
        "NRRD0004\ntype: uint8\ndimension: 4\nspace: left-posterior-superior\nsizes: 2 8 9 6\n"
        "space directions: none (0.7,0,0) (0,0.5,0) (0,0,2)\nkinds: list domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (0,0,0)\n\n"
    )
    path = tmp_path / "l.seg.nrrd"
    path.write_bytes(header.encode() + layers.tobytes())
    names = (LabelName(0, 4, "femur_left"), LabelName(1, 9, "hip_left"))
    found = read_labels(LabelSource("labelmap", (str(path),), names, path.name), scan, TABLE)
    np.testing.assert_array_equal(found.read(), np.select([hip, femur], [HIP, FEMUR], 0))
    assert f"labels-overlap: {femur.sum()} voxels" in found.corrections[0]


def test_the_digest_is_that_of_files_and_names(write_nifti: Write, scan: Scan, labels: Labels) -> None:
    path = write_nifti(labels, name="l.nii.gz")
    found = read_labels(labelmap(path), scan, TABLE)
    assert found.digest == labels_digest(labelmap(path))
    assert found.digest != labels_digest(labelmap(path, {**NAMES, 1: "femur_right"}))
    assert found.digest == labels_digest(labelmap(path.rename(path.with_name("m.nii.gz"))))
    assert source_digest(ScanSource("nifti", (str(path.with_name("m.nii.gz")),), "m")) != found.digest


def test_scaled_labels_are_refused(write_nifti: Write, scan: Scan, labels: Labels) -> None:
    path = write_nifti(labels, name="l.nii")
    content = bytearray(path.read_bytes())
    content[112:120] = np.array([2.0, 1.0], "<f4").tobytes()
    path.write_bytes(bytes(content))
    assert code_of(labelmap(path), scan) == "label-values"


def test_labels_alone_lie_on_their_own_grid(
    write_nifti: Write, scan: Scan, labels: Labels, expected: Labels, tmp_path: Path
) -> None:
    source = labelmap(write_nifti(labels, name="l.nii.gz"))
    with_scan = read_labels(source, scan, TABLE)
    alone = read_labels_alone(source, TABLE, scratch=tmp_path)
    np.testing.assert_array_equal(alone.read(), expected)
    assert alone.grid.matches(scan.grid)
    assert (alone.digest, alone.ids, alone.corrections) == (with_scan.digest, with_scan.ids, with_scan.corrections)


def test_labels_alone_are_refused_with_their_place(tmp_path: Path) -> None:
    missing = labelmap(tmp_path / "gone.nrrd")
    with pytest.raises(BadScan, match=r"gone\.nrrd.*unreadable-file"):
        read_labels_alone(missing, TABLE, scratch=tmp_path)
