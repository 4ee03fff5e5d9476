import io

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import UID

from osteon.core.geometry import Grid
from osteon.data.phantom.dicom import SliceFile, store_pixels, to_series, uid

GRID = Grid((5, 6, 8), (3.0, 1.5, 2.0), (-40.0, 12.0, -7.5))


@pytest.fixture
def hu() -> np.ndarray:
    return np.random.default_rng(0).integers(-1024, 3072, GRID.shape, dtype=np.int16)


@pytest.fixture
def series(hu: np.ndarray) -> list[SliceFile]:
    return to_series("phantom-007", hu, GRID, (3, 6, 7))


def test_pydicom_reads_the_same_values_and_positions(series: list[SliceFile], hu: np.ndarray) -> None:
    for number, file in enumerate(series):
        dataset = dcmread(io.BytesIO(file.to_bytes()))
        values = dataset.pixel_array.astype(int) * int(dataset.RescaleSlope) + int(dataset.RescaleIntercept)
        np.testing.assert_array_equal(values, hu[number])
        x, y, z = map(float, dataset.ImagePositionPatient)
        assert (z, y, x) == tuple(GRID.position_mm((number, 0, 0)))
        assert [float(step) for step in dataset.PixelSpacing] == [1.5, 2.0]
        assert dataset.file_meta.TransferSyntaxUID.is_little_endian


def test_a_series_is_one_study_one_series_and_many_objects(series: list[SliceFile]) -> None:
    for keyword, count in (
        ("StudyInstanceUID", 1),
        ("SeriesInstanceUID", 1),
        ("FrameOfReferenceUID", 1),
        ("SOPInstanceUID", 5),
        ("InstanceNumber", 5),
    ):
        assert len({file.dataset[keyword].value for file in series}) == count, keyword
    assert len({file.name for file in series}) == 5


def test_the_same_key_gives_the_same_bytes_and_another_key_other_uids(hu: np.ndarray) -> None:
    first, again, other = (to_series("phantom-007", hu, GRID, key)[2] for key in ((3, 6, 7), (3, 6, 7), (4, 6, 7)))

    assert first.to_bytes() == again.to_bytes()
    assert first.dataset.SeriesInstanceUID != other.dataset.SeriesInstanceUID


def test_uids_are_valid() -> None:
    made = {uid("a", number) for number in range(200)}

    assert len(made) == 200
    assert all(UID(one).is_valid and len(one) <= 64 for one in made)


@pytest.mark.parametrize(("lowest", "intercept", "sign"), [(-1024, -1024, 0), (-3024, -1024, 1), (-1024, -1000, 1)])
def test_pixels_are_signed_where_they_must_be(series: list[SliceFile], lowest: int, intercept: int, sign: int) -> None:
    plane = np.full((6, 8), 900, np.int16)
    plane[0, 0] = lowest
    store_pixels(series[0].dataset, plane, intercept)
    dataset = dcmread(io.BytesIO(series[0].to_bytes()))

    assert dataset.PixelRepresentation == sign
    np.testing.assert_array_equal(dataset.pixel_array.astype(int) + int(dataset.RescaleIntercept), plane)
