"""Folders that hold more than one volume, and things that are no volume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom import uid
from pydicom.dataset import Dataset

from osteon.storage.readers import Rejected, Scan, ScanSource, find_scans, open_scan

Hu = npt.NDArray[np.int16]
Write = Callable[..., Path]


def mix(folder: Path, *others: Path) -> Path:
    """Move the files of other folders into the first."""
    for number, other in enumerate(others):
        for file in other.iterdir():
            file.rename(folder / f"{number}-{file.name}")
    return folder


def sources(folder: Path) -> list[ScanSource]:
    return [found for found in find_scans(folder) if isinstance(found, ScanSource)]


def test_a_localizer_is_no_slice(write_series: Write, hu: Hu) -> None:
    def localize(dataset: Dataset, _number: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.SeriesInstanceUID = "1.2.3.4"

    def same_series(dataset: Dataset, _number: int) -> None:
        dataset.SeriesInstanceUID = "1.2.3.4"

    folder = mix(write_series(hu, same_series), write_series(hu[:2], localize, name="localizer"))
    [source] = sources(folder)
    assert len(source.files) == len(hu)
    [other] = [found for found in find_scans(folder) if isinstance(found, Rejected)]
    assert (other.code, other.reason) == ("localizer", "a localizer: a projection, not a slice (2 files)")


@pytest.mark.parametrize(
    ("sop_class", "modality", "code"),
    [
        (uid.SecondaryCaptureImageStorage, "CT", "secondary-capture"),
        (uid.MultiFrameTrueColorSecondaryCaptureImageStorage, "OT", "secondary-capture"),
        (uid.MRImageStorage, "MR", "not-ct"),
        (uid.PositronEmissionTomographyImageStorage, "PT", "not-ct"),
        (uid.SegmentationStorage, "SEG", "not-ct"),
        (uid.RTStructureSetStorage, "RTSTRUCT", "not-ct"),
    ],
)
def test_what_is_no_ct_image_is_set_aside(
    write_series: Write, hu: Hu, sop_class: uid.UID, modality: str, code: str
) -> None:
    def disguise(dataset: Dataset, _number: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        dataset.Modality = modality
        if modality == "RTSTRUCT":
            del dataset.PixelData

    [found] = find_scans(write_series(hu[:1], disguise))
    assert isinstance(found, Rejected)
    assert found.code == code


def test_series_in_one_folder_become_one_case_each(write_series: Write, scratch: Path, hu: Hu) -> None:
    folder = mix(write_series(hu), write_series(hu[:4] // 2, name="second"))
    volumes = sorted((open_scan(source, scratch=scratch).read() for source in sources(folder)), key=len)
    np.testing.assert_array_equal(volumes[0], hu[:4] // 2)
    np.testing.assert_array_equal(volumes[1], hu)


@pytest.mark.parametrize("what", ["orientation", "matrix", "spacing", "image type"])
def test_one_series_is_split_by(write_series: Write, hu: Hu, what: str) -> None:
    def differ(dataset: Dataset, number: int) -> None:
        if number < 3:
            return
        if what == "orientation":
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
        elif what == "matrix":
            dataset.Rows -= 1
            dataset.PixelData = dataset.PixelData[: -2 * dataset.Columns]
        elif what == "spacing":
            dataset.PixelSpacing = [0.5, 0.6]
        else:
            dataset.ImageType = ["DERIVED", "SECONDARY", "MPR"]

    assert [len(source.files) for source in sources(write_series(hu, differ))] == [3, 3]


def test_equal_slices_of_one_series_stay_together_whatever_the_rounding(write_series: Write, hu: Hu) -> None:
    def jitter(dataset: Dataset, number: int) -> None:
        dataset.ImageOrientationPatient = [1, 1e-6 * number, 0, -1e-6 * number, 1, -0.0]

    assert len(sources(write_series(hu, jitter))) == 1


def test_unreadable_files_do_not_hide_the_others(write_series: Write, hu: Hu) -> None:
    folder = write_series(hu)
    (folder / "broken").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\x04\x00" + b"\xff" * 2000)
    findings = find_scans(folder)
    assert [type(found) for found in findings].count(Rejected) == 1
    assert len(sources(folder)) == 1


def test_a_dicomdir_is_no_finding(write_series: Write, hu: Hu) -> None:
    def directory(dataset: Dataset, _number: int) -> None:
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = uid.MediaStorageDirectoryStorage
        del dataset.PixelData

    assert find_scans(write_series(hu[:1], directory)) == []


def test_the_series_uid_itself_is_not_kept(write_series: Write, hu: Hu) -> None:
    folder = write_series(hu)
    series = pydicom.dcmread(folder / "IM0000").SeriesInstanceUID
    assert str(series) not in repr(sources(folder)[0].slices)


def test_a_series_may_be_spread_over_folders(write_series: Write, open_one: Callable[..., Scan], hu: Hu) -> None:
    folder = write_series(hu)
    (folder / "more").mkdir()
    for number in (1, 2, 5):
        (folder / f"IM{number:04}").rename(folder / "more" / f"IM{number:04}")
    np.testing.assert_array_equal(open_one(folder).read(), hu)


def test_folders_with_the_same_positions_are_volumes_of_their_own(write_series: Write, hu: Hu) -> None:
    def one_uid_for_all(dataset: Dataset, _number: int) -> None:
        dataset.SeriesInstanceUID = "1.2.3.4"

    first = write_series(hu, one_uid_for_all, name="first")
    write_series(hu // 2, one_uid_for_all, name="second")
    assert [len(source.files) for source in sources(first.parent)] == [6, 6]
