"""SEG objects are read back by highdicom and pydicom and judged by dciodvfy: the same labels at the same places."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import highdicom
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.data.phantom.dicom import to_series
from osteon.storage.export.dicom_seg import Algorithm, SegKind, write_dicom_seg
from osteon.storage.export.dicom_source import find_source
from osteon.storage.readers import Scan, ScanSource, find_scans, open_scan

Array = npt.NDArray[Any]
TABLE = table_for(["femur_left", "hip_right", "rib_left_3", "vertebrae_T12", "sacrum", "femur_left_cortical"])
MODEL = Algorithm("bones", "0123456789abcdef")
SHAPE = (5, 7, 6)
X, Y, Z = np.eye(3)
TILT = np.array([[0.9553365, -0.1947092, 0.2222219], [0.2955202, 0.6294345, -0.7186713], [0.0, 0.7522358, 0.6588953]])
PLANES = {
    "axial": (X, Y),
    "axial, prone": (-X, -Y),
    "axial, from below": (-X, Y),
    "sagittal": (Y, -Z),
    "coronal": (X, -Z),
    "coronal, mirrored": (-Z, -X),
    "oblique": (TILT[:, 0], TILT[:, 1]),
}


def write_series(
    folder: Path, planes: str = "axial", tweak: Callable[[Dataset, int], None] = lambda _dataset, _number: None
) -> Path:
    """A series of SHAPE in that orientation, its files and instance numbers in no order of places."""
    row, column = PLANES[planes]
    hu = np.random.default_rng(1).integers(-1000, 1500, SHAPE).astype(np.int16)
    folder.mkdir()
    order = np.random.default_rng(2).permutation(SHAPE[0])
    for number, file in enumerate(to_series("case", hu, Grid(SHAPE, (2.5, 0.5, 0.75)), (3,))):
        ds = file.dataset
        place = np.array([-31.25, 12.5, -700.0]) + 2.5 * number * np.cross(row, column)
        ds.ImagePositionPatient = [f"{value:.6f}" for value in place]
        ds.ImageOrientationPatient = [f"{value:.7f}" for value in (*row, *column)]
        ds.InstanceNumber = int(order[number]) + 1
        ds.PatientName, ds.PatientID, ds.AccessionNumber = "Doe^Jane", "SECRET-77", "ACC-99"
        tweak(ds, number)
        (folder / f"{order[number]}.dcm").write_bytes(file.to_bytes())
    return folder


def read(folder: Path, scratch: Path, **options: bool) -> tuple[Scan, ScanSource]:
    [source] = find_scans(folder)
    assert isinstance(source, ScanSource)
    return open_scan(source, scratch=scratch, **options), source


def some_labels(scan: Scan) -> Array:
    """Every bone but the sacrum, in LPS order; in one corner of large scans."""
    ids = [id_ for id_, name in TABLE.names.items() if name != "sacrum"]
    labels = np.random.default_rng(4).choice([0, 0, *ids], scan.grid.shape).astype(TABLE.dtype)
    labels[:, 40:], labels[:, :, 40:] = 0, 0
    return labels


def write_seg(tmp_path: Path, folder: Path, kind: SegKind = "BINARY", **options: bool) -> tuple[Scan, Array, Path]:
    scan, source = read(folder, tmp_path / "scratch", **options)
    labels, path = some_labels(scan), tmp_path / "labels.seg.dcm"
    write_dicom_seg(path, labels, scan.provenance, TABLE, source, MODEL, kind=kind)
    return scan, labels, path


def named_places(labels: Array, position: Callable[[Array], Array], name: Callable[[int], str]) -> set[Any]:
    """Each labelled voxel as its bone and where it lies, x, y, z in hundredths of a millimetre."""
    index = np.argwhere(labels)
    places = np.rint(100 * position(index)).astype(int)
    values = labels[tuple(index.T)]
    return {(name(int(value)), *place) for value, place in zip(values, places.tolist(), strict=True)}


def expected(scan: Scan, labels: Array) -> set[Any]:
    return named_places(labels, lambda index: scan.grid.position_mm(index)[:, ::-1], TABLE.names.__getitem__)


def by_highdicom(path: Path) -> set[Any]:
    seg = highdicom.seg.segread(path)
    volume = seg.get_volume(combine_segments=True)
    return named_places(
        volume.array,
        volume.map_indices_to_reference,
        lambda number: str(seg.get_segment_description(number).segment_label),
    )


def by_pydicom(path: Path) -> set[Any]:
    """Frame by frame, as PS3.3 C.7.6.2.1.1 says where pixels lie."""
    ds = pydicom.dcmread(path)
    labels = {item.SegmentNumber: item.SegmentLabel for item in ds.SegmentSequence}
    shared = ds.SharedFunctionalGroupsSequence[0]
    cosines = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, shared.PixelMeasuresSequence[0].PixelSpacing)
    found: set[Any] = set()
    for frame, pixels in zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array, strict=True):
        first = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        number = frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        step = np.stack([between_rows * cosines[1], between_columns * cosines[0]])
        found |= named_places(pixels, lambda index: first + index @ step, lambda _: str(labels[number]))  # noqa: B023
    return found


@pytest.mark.parametrize("planes", PLANES)
def test_labels_lie_at_the_same_places_in_the_patient(tmp_path: Path, planes: str) -> None:
    scan, labels, path = write_seg(tmp_path, write_series(tmp_path / "series", planes))
    assert by_highdicom(path) == by_pydicom(path) == expected(scan, labels)


@pytest.mark.parametrize("planes", ["axial", "coronal, mirrored"])
def test_a_labelmap_says_the_same(tmp_path: Path, planes: str) -> None:
    scan, labels, path = write_seg(tmp_path, write_series(tmp_path / "series", planes), "LABELMAP")
    assert by_highdicom(path) == expected(scan, labels)
    assert pydicom.dcmread(path).SegmentationType == "LABELMAP"


def test_every_frame_names_the_slice_it_lies_on(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", "sagittal")
    _, _, path = write_seg(tmp_path, folder)
    slices = {ds.SOPInstanceUID: ds for ds in map(pydicom.dcmread, folder.iterdir())}
    for frame in pydicom.dcmread(path).PerFrameFunctionalGroupsSequence:
        [image] = frame.DerivationImageSequence[0].SourceImageSequence
        source = slices[image.ReferencedSOPInstanceUID]
        assert frame.PlanePositionSequence[0].ImagePositionPatient == source.ImagePositionPatient


def test_segments_carry_codes_sides_and_colours(tmp_path: Path) -> None:
    _, _, path = write_seg(tmp_path, write_series(tmp_path / "series"))
    seg = highdicom.seg.segread(path)
    found = {}
    for item in seg.SegmentSequence:
        assert item.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "123037004"
        concept = item.SegmentedPropertyTypeCodeSequence[0]
        sides = concept.get("SegmentedPropertyTypeModifierCodeSequence", [])
        found[item.SegmentLabel] = (concept.CodeValue, *(side.CodeValue for side in sides))
        colour = highdicom.color.CIELabColor.from_dicom_value(item.RecommendedDisplayCIELabValue).to_rgb()
        [label] = [label for label in TABLE.labels if label.name == item.SegmentLabel]
        np.testing.assert_allclose(colour, label.rgba[:3], atol=2)
    assert found == {
        "femur_left": ("71341001", "7771000"),
        "hip_right": ("28254004", "24028007"),
        "rib_left_3": ("113197003", "7771000"),
        "vertebrae_T12": ("23215003",),
        "femur_left_cortical": ("272673000", "7771000"),
    }  # and no sacrum: it has no voxel


def test_it_belongs_to_the_patients_study_and_frame(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    _, _, path = write_seg(tmp_path, folder)
    seg, source = pydicom.dcmread(path), pydicom.dcmread(folder / "0.dcm")
    for keyword in ("PatientName", "PatientID", "AccessionNumber", "StudyInstanceUID", "FrameOfReferenceUID"):
        assert seg[keyword].value == source[keyword].value
    assert seg.SeriesInstanceUID != source.SeriesInstanceUID
    assert seg.SegmentationType == "BINARY"


@pytest.mark.parametrize(
    ("charset", "name"),
    [("", "Doe^Jane"), ("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎")],
)
def test_names_survive_in_any_encoding(tmp_path: Path, charset: Any, name: str) -> None:
    def rename(ds: Dataset, _number: int) -> None:
        ds.SpecificCharacterSet, ds.PatientName = charset, name

    _, _, path = write_seg(tmp_path, write_series(tmp_path / "series", tweak=rename))
    assert pydicom.dcmread(path).PatientName == name


def test_the_same_labels_are_the_same_object(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    scan, labels, path = write_seg(tmp_path, folder)
    source = find_source(folder, scan.provenance)
    again, other = tmp_path / "again.dcm", tmp_path / "other.dcm"
    write_dicom_seg(again, labels, scan.provenance, TABLE, source, MODEL)
    write_dicom_seg(other, np.flip(labels, 0), scan.provenance, TABLE, source, MODEL)
    first, second, third = (pydicom.dcmread(file) for file in (path, again, other))
    assert first.SOPInstanceUID == second.SOPInstanceUID != third.SOPInstanceUID
    assert first.SeriesInstanceUID == second.SeriesInstanceUID != third.SeriesInstanceUID


def test_a_multi_frame_source(tmp_path: Path) -> None:
    folder = tmp_path / "series"
    folder.mkdir()
    hu = np.random.default_rng(1).integers(-1000, 1500, SHAPE).astype(np.int16)
    [file] = to_series("case", hu[:1], Grid((1, *SHAPE[1:]), (2.5, 0.5, 0.75)), (3,))
    enhance(file.dataset, hu, places=[3, 0, 4, 1, 2])
    (folder / "all.dcm").write_bytes(file.to_bytes())
    scan, labels, path = write_seg(tmp_path, folder)
    assert by_highdicom(path) == by_pydicom(path) == expected(scan, labels)


def enhance(ds: Dataset, hu: Array, places: list[int]) -> None:
    """Make one slice an Enhanced CT of all planes, its frames in the order of ``places``."""
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = pydicom.uid.EnhancedCTImageStorage
    shared = Dataset()
    shared.PlaneOrientationSequence = [_item(ImageOrientationPatient=ds.ImageOrientationPatient)]
    shared.PixelMeasuresSequence = [_item(PixelSpacing=ds.PixelSpacing, SliceThickness=2.5)]
    shared.PixelValueTransformationSequence = [_item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")]
    ds.NumberOfFrames, ds.SharedFunctionalGroupsSequence = len(hu), [shared]
    ds.PerFrameFunctionalGroupsSequence = [
        _item(PlanePositionSequence=[_item(ImagePositionPatient=[-10, -20, 100 + 2.5 * place])]) for place in places
    ]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        del ds[keyword]
    ds.BitsStored, ds.HighBit, ds.PixelData = 16, 15, (hu[places] + 1024).astype("<u2").tobytes()


def _item(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_resampled_scan_keeps_its_upright_grid(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series", "coronal")
    along = sorted(folder.iterdir(), key=lambda file: float(pydicom.dcmread(file).ImagePositionPatient[1]))
    along[2].unlink()
    scan, labels, path = write_seg(tmp_path, folder, allow_gaps=True)
    assert scan.is_resampled
    assert by_highdicom(path) == by_pydicom(path) == expected(scan, labels)


def test_copies_of_a_slice_are_left_out(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    twin = pydicom.dcmread(folder / "2.dcm")
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    twin.save_as(folder / "twin.dcm")
    scan, labels, path = write_seg(tmp_path, folder)
    assert by_highdicom(path) == expected(scan, labels)


def test_fields_that_may_be_empty_may_be_absent(tmp_path: Path) -> None:
    def strip(ds: Dataset, _number: int) -> None:
        for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
            del ds[keyword]

    folder = write_series(tmp_path / "series", tweak=strip)
    scan, labels, path = write_seg(tmp_path, folder)
    assert by_highdicom(path) == expected(scan, labels)


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "FrameOfReferenceUID", "SOPInstanceUID"])
def test_a_series_without_identifiers_gets_no_seg(tmp_path: Path, keyword: str) -> None:
    folder = write_series(tmp_path / "series", tweak=lambda ds, _number: setattr(ds, keyword, ""))
    with pytest.raises(BadInput, match=keyword) as caught:
        write_seg(tmp_path, folder)
    assert caught.value.code == "anonymous-series"
    assert not (tmp_path / "labels.seg.dcm").exists()


def test_what_no_seg_can_be_made_of_is_refused_without_patient_fields(tmp_path: Path) -> None:
    def break_it(ds: Dataset, number: int) -> None:
        ds.StudyInstanceUID = f"1.2.{number}"  # the slices of one series in several studies

    with pytest.raises(BadInput) as caught:
        write_seg(tmp_path, write_series(tmp_path / "series", tweak=break_it))
    assert caught.value.code == "dicom-seg"
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_without_a_bone_there_is_no_seg(tmp_path: Path) -> None:
    scan, source = read(write_series(tmp_path / "series"), tmp_path / "scratch")
    with pytest.raises(BadInput) as caught:
        write_dicom_seg(tmp_path / "x.dcm", np.zeros(SHAPE, np.uint8), scan.provenance, TABLE, source, MODEL)
    assert caught.value.code == "no-bone"


def test_labels_without_a_name_are_refused(tmp_path: Path) -> None:
    scan, source = read(write_series(tmp_path / "series"), tmp_path / "scratch")
    with pytest.raises(BadInput) as caught:
        write_dicom_seg(tmp_path / "x.dcm", some_labels(scan), scan.provenance, LabelTable(()), source, MODEL)
    assert caught.value.code == "unknown-label-id"


def test_the_source_is_known_by_its_bytes(tmp_path: Path) -> None:
    folder = write_series(tmp_path / "series")
    scan, source = read(folder, tmp_path / "scratch")
    write_series(tmp_path / "series" / "other", "sagittal")
    assert find_source(folder, scan.provenance) == source
    with pytest.raises(BadInput) as caught:
        find_source(folder / "other", scan.provenance)
    assert caught.value.code == "other-series"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian: dicom3tools) is not installed")
@pytest.mark.parametrize("planes", ["axial", "coronal, mirrored"])
def test_dciodvfy_finds_no_error(tmp_path: Path, planes: str) -> None:
    _, _, path = write_seg(tmp_path, write_series(tmp_path / "series", planes))
    assert "Error" not in _judged(path)


def _judged(path: Path) -> str:
    done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
    judged = done.stdout + done.stderr
    assert "Segmentation" in judged
    return judged


@pytest.mark.realdata
@pytest.mark.parametrize(
    "name",
    ["dcmqi-ct3-dicomseg/ct-3slice", "dcmqi-ct3-dicomseg/24x38x3/image", "wg04-ct1-transfer-syntaxes/CT1_UNC.dcm"],
)
def test_real_series(real_data: Path, tmp_path: Path, name: str) -> None:
    path = next(real_data.glob(f"{name.partition('/')[0]}/**/{name.rpartition('/')[2]}"))
    scan, labels, seg = write_seg(tmp_path, path)
    assert by_highdicom(seg) == expected(scan, labels)
    if shutil.which("dciodvfy") is not None:
        assert "Error" not in _judged(seg)
