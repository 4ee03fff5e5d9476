"""Exports are read back by nibabel and SimpleITK, and by Osteon's own readers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # its own documentation's name

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Reorientation
from osteon.core.labels import BONES, table_for
from osteon.storage.export import SUFFIXES, write_scan
from osteon.storage.importers import CaseSource, plan_import
from osteon.storage.provenance import Provenance
from osteon.storage.readers import Scan, ScanSource, find_scans, open_scan, read_labels

Array = npt.NDArray[Any]
TABLE = table_for(["femur_left", "hip_left", "implant"])


def turned_grid() -> Grid:
    """A grid turned by odd angles, axes swapped and flipped, 5 x 7 x 6 voxels."""
    image = sitk.Image(6, 7, 5, sitk.sitkInt16)
    turn = sitk.Euler3DTransform((0, 0, 0), 0.3, -0.2, 1.1)
    direction = np.reshape(turn.GetMatrix(), (3, 3)) @ np.array([[0, 0, -1], [1, 0, 0], [0, 1, 0]])
    return Grid.from_itk(image.GetSize(), (0.7, 0.51, 2.3), (-10.25, 1e3 / 3, -1434.5), tuple(direction.ravel()))


@pytest.fixture
def source() -> tuple[Array, Provenance]:
    """An array in its source's order, and where it came from."""
    grid = turned_grid()
    array = np.random.default_rng(0).integers(-1000, 1500, grid.shape).astype(np.int16)
    return array, Provenance("nifti", "0" * 64, grid, Reorientation.to_lps(grid))


def export(path: Path, array: Array, provenance: Provenance, **options: Any) -> None:
    order = provenance.reorientation
    write_scan(path, order.apply(array), order.apply_grid(provenance.source_grid), provenance, **options)


def open_file(path: Path, scratch: Path) -> Scan:
    [found] = find_scans(path)
    assert isinstance(found, ScanSource)
    return open_scan(found, scratch=scratch)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_simpleitk_finds_array_and_grid_of_the_source(
    tmp_path: Path, source: tuple[Array, Provenance], suffix: str
) -> None:
    array, provenance = source
    export(tmp_path / f"out{suffix}", array, provenance, table=None)
    image = sitk.ReadImage(str(tmp_path / f"out{suffix}"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), array)
    grid = Grid.from_itk(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
    assert grid.matches(provenance.source_grid, 1e-4)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_nibabel_finds_array_and_affine_of_the_source(
    tmp_path: Path, source: tuple[Array, Provenance], suffix: str
) -> None:
    array, provenance = source
    export(tmp_path / f"out{suffix}", array, provenance, table=None)
    image: Any = nibabel.load(tmp_path / f"out{suffix}")
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, array)
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = provenance.source_grid.affine[:3, :3][::-1, ::-1]
    affine[:3, 3] = provenance.source_grid.affine[:3, 3][::-1]
    np.testing.assert_allclose(image.affine, flip @ affine, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), image.affine, atol=1e-4)
    assert image.get_data_dtype() == np.int16


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_scan_survives_export_and_import(tmp_path: Path, source: tuple[Array, Provenance], suffix: str) -> None:
    array, provenance = source
    export(tmp_path / f"out{suffix}", array, provenance, table=None)
    scan = open_file(tmp_path / f"out{suffix}", tmp_path / "scratch")
    np.testing.assert_array_equal(scan.provenance.reorientation.invert(scan.read()), array)
    assert scan.provenance.corrections == ()


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_an_affine_read_from_nifti_is_given_back_bit_for_bit(
    tmp_path: Path, axes: tuple[int, ...], flips: tuple[int, ...]
) -> None:
    affine = np.eye(4)
    affine[:3, :3] = (np.diag([0.8, 0.7071, 2.5]) * flips)[:, list(axes)]
    affine[:3, 3] = (-177.95633, 11.3190, 94.30182)
    array = np.random.default_rng(0).integers(-1000, 1500, (4, 5, 6)).astype(np.int16)
    nibabel.Nifti1Image(array, affine).to_filename(tmp_path / "ct.nii.gz")  # type: ignore[no-untyped-call]
    scan = open_file(tmp_path / "ct.nii.gz", tmp_path / "scratch")
    write_scan(tmp_path / "out.nii.gz", scan.read(), scan.grid, scan.provenance, table=None)
    before, after = (nibabel.load(tmp_path / name) for name in ("ct.nii.gz", "out.nii.gz"))
    np.testing.assert_array_equal(after.affine, before.affine)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(np.asarray(after.dataobj), array)  # type: ignore[attr-defined]


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".seg.nrrd"])
def test_labels_come_back_with_their_names(tmp_path: Path, source: tuple[Array, Provenance], suffix: str) -> None:
    array, provenance = source
    labels = np.random.default_rng(2).choice([0, *TABLE.names], array.shape).astype(TABLE.dtype)
    export(tmp_path / "ct.nii.gz", array, provenance, table=None)
    export(tmp_path / f"ct_labels{suffix}", labels, provenance, table=TABLE)
    plan = plan_import([tmp_path])
    [case] = plan.cases
    assert isinstance(case, CaseSource)
    assert case.labels is not None
    assert plan.table == TABLE
    scan = open_scan(case.scan, scratch=tmp_path / "scratch")
    found = read_labels(case.labels, scan, plan.table)
    np.testing.assert_array_equal(provenance.reorientation.invert(found.read()), labels)


def test_segments_carry_colours_and_only_what_occurs(tmp_path: Path, source: tuple[Array, Provenance]) -> None:
    array, provenance = source
    labels = np.where(array > 0, BONES.ids["hip_left"], 0).astype(np.uint8)
    export(tmp_path / "out.seg.nrrd", labels, provenance, table=TABLE)
    image = sitk.ReadImage(str(tmp_path / "out.seg.nrrd"))
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys() if key.startswith("Segment")}
    assert keys["Segment0_Name"] == "hip_left"
    assert keys["Segment0_LabelValue"] == str(BONES.ids["hip_left"])
    assert len(keys["Segment0_Color"].split()) == 3
    assert "Segment1_Name" not in keys


def test_the_sidecar_names_every_label_of_the_table(tmp_path: Path, source: tuple[Array, Provenance]) -> None:
    array, provenance = source
    export(tmp_path / "out.mha", (array > 0).astype(np.uint8), provenance, table=TABLE)
    content = json.loads((tmp_path / "out.mha.labels.json").read_text())
    assert content == {str(id_): name for id_, name in TABLE.names.items()}


def test_without_provenance_the_grid_given_is_used(tmp_path: Path) -> None:
    grid = Grid((2, 3, 4), (2.0, 0.5, 0.7), (10.0, -20.0, 30.0))
    array = np.arange(-12, 12, dtype=np.int16).reshape(grid.shape)
    write_scan(tmp_path / "out.nii.gz", array, grid, None, table=None)
    scan = open_file(tmp_path / "out.nii.gz", tmp_path / "scratch")
    assert scan.grid.matches(grid, 1e-4)
    np.testing.assert_array_equal(scan.read(), array)


@pytest.mark.parametrize("name", ["out.png", "out", "out.nii.bz2"])
def test_an_unknown_format_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput) as caught:
        write_scan(tmp_path / name, np.zeros((2, 2, 2), np.int16), Grid((2, 2, 2)), None, table=None)
    assert caught.value.code == "output-format"
    assert list(tmp_path.iterdir()) == []


def test_an_array_of_another_shape_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        write_scan(tmp_path / "out.mha", np.zeros((2, 2, 2), np.int16), Grid((2, 2, 3)), None, table=None)
    assert caught.value.code == "output-shape"


def test_a_failed_export_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, grid = tmp_path / "out.nii.gz", Grid((2, 2, 2))
    write_scan(path, np.full((2, 2, 2), -5, np.int16), grid, None, table=None)
    before = path.read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_scan(path, np.zeros((2, 2, 2), np.int16), grid, None, table=None)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["out.nii.gz"]


REAL = [
    "ts-abdomen-pelvis-nifti/example_ct.nii.gz",
    "ts-thorax-cta-crop/ct_cropped.nii.gz",
    "sts001-thigh-rtstruct/CT/nifti/image/image.nii.gz",
    "elastix-lung-mha/3DCT_lung.mha",
]


@pytest.mark.realdata
@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("suffix", [".nii.gz", ".mha", ".nrrd"])
def test_real_scans_land_on_the_source_grid(real_data: Path, tmp_path: Path, name: str, suffix: str) -> None:
    scan = open_file(real_data / name, tmp_path / "scratch")
    write_scan(tmp_path / f"out{suffix}", scan.read(), scan.grid, scan.provenance, table=None)
    image, reference = sitk.ReadImage(str(tmp_path / f"out{suffix}")), sitk.ReadImage(str(real_data / name))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(reference))
    np.testing.assert_allclose(image.GetOrigin(), reference.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(image.GetSpacing(), reference.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(image.GetDirection(), reference.GetDirection(), atol=1e-6)
    if suffix == ".nii.gz" and name.endswith(".nii.gz"):
        before, after = nibabel.load(real_data / name), nibabel.load(tmp_path / "out.nii.gz")
        np.testing.assert_allclose(after.affine, before.affine, atol=1e-6)  # type: ignore[attr-defined]


@pytest.mark.realdata
def test_an_oblique_real_label_lands_on_the_source_grid(real_data: Path, tmp_path: Path) -> None:
    path = real_data / "totalseg-s0327-labels-rotated" / "segmentations" / "hip_left.nii.gz"
    before: Any = nibabel.load(path)
    array = np.asarray(before.dataobj).T
    flip = np.diag([-1.0, -1.0, 1.0, 1.0])
    lps = flip @ before.affine
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = lps[:3, :3][::-1, ::-1], lps[:3, 3][::-1]
    grid = Grid.from_affine(array.shape, affine)
    provenance = Provenance("nifti", "0" * 64, grid, Reorientation.to_lps(grid))
    export(tmp_path / "out.nii.gz", array, provenance, table=table_for(["hip_left"]))
    after: Any = nibabel.load(tmp_path / "out.nii.gz")
    np.testing.assert_array_equal(after.affine, before.affine)
    np.testing.assert_array_equal(np.asarray(after.dataobj), np.asarray(before.dataobj))
