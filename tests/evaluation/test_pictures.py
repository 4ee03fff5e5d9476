import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
from matplotlib.image import imread

from osteon.core.geometry import Grid, Index3
from osteon.core.labels import Label, LabelTable
from osteon.core.volume import Array
from osteon.evaluation.pictures import LONG_SIDE_PX, draw_planes

TABLE = LabelTable.of({7: "hip_left", 8: "hip_right"})
GRID = Grid((12, 30, 40), (4.0, 1.0, 0.5))


@dataclass(frozen=True)
class Read:
    block: Array

    def result(self) -> Array:
        return self.block


@dataclass(frozen=True)
class Scan:
    """A volume in memory that remembers how much was read of it."""

    array: Array
    grid: Grid
    reads: list[Index3]

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.array.dtype

    def read(self, start: Index3, shape: Index3) -> Read:
        self.reads.append(shape)
        return Read(self.array[tuple(slice(first, first + count) for first, count in zip(start, shape, strict=True))])


@pytest.fixture
def scan() -> Scan:
    return Scan(np.full(GRID.shape, -1000, dtype=np.int16), GRID, [])


@pytest.fixture
def reference() -> npt.NDArray[np.uint8]:
    """The patient's left hip: cranial, dorsal and on the high-x side."""
    labels = np.zeros(GRID.shape, dtype=np.uint8)
    labels[8:11, 20:27, 26:38] = 7
    return labels


def pixels(png: bytes) -> npt.NDArray[np.float32]:
    return np.asarray(imread(io.BytesIO(png)))[..., :3]


def coloured_centre(png: bytes, bone: Label) -> tuple[float, float]:
    """Mean row and column, as shares of the picture, of the pixels with the hue of a bone."""
    picture, colour = pixels(png), np.array(bone.rgba[:3]) / 255
    brightness = np.linalg.norm(picture, axis=-1)
    likeness = (picture @ colour) / np.maximum(brightness, 1e-6) / np.linalg.norm(colour)
    rows, columns = np.nonzero((likeness > 0.99) & (brightness > 0.2))
    return float(rows.mean() / picture.shape[0]), float(columns.mean() / picture.shape[1])


def test_the_planes_go_through_the_bones_and_only_they_are_read(scan: Scan, reference: npt.NDArray[np.uint8]) -> None:
    pictures = draw_planes(scan, reference, reference, TABLE)

    assert [picture.plane for picture in pictures] == ["axial", "coronal", "sagittal"]
    assert [picture.num_slices for picture in pictures] == list(GRID.shape)
    for picture, (low, high) in zip(pictures, [(8, 11), (20, 27), (26, 38)], strict=True):
        assert low <= picture.position < high
        assert picture.bones == (Label(7, "hip_left"),)
    assert scan.reads == [(1, 30, 40), (12, 1, 40), (12, 30, 1)]


def test_pictures_have_the_proportions_of_the_body(scan: Scan, reference: npt.NDArray[np.uint8]) -> None:
    sizes = [pixels(picture.png).shape[:2] for picture in draw_planes(scan, reference, reference, TABLE)]

    for (height, width), (height_mm, width_mm) in zip(sizes, [(30, 20), (48, 20), (48, 30)], strict=True):
        assert max(height, width) == LONG_SIDE_PX
        assert height / width == pytest.approx(height_mm / width_mm, rel=0.01)


def test_pictures_follow_the_radiological_convention(scan: Scan, reference: npt.NDArray[np.uint8]) -> None:
    axial, coronal, sagittal = draw_planes(scan, reference, np.zeros_like(reference), TABLE)

    down, right = coloured_centre(axial.png, TABLE.labels[0])
    assert (down, right) == pytest.approx((23.5 / 30, 32 / 40), abs=0.02)  # dorsal is down, the patient's left is right
    down, right = coloured_centre(coronal.png, TABLE.labels[0])
    assert (down, right) == pytest.approx((1 - 9.5 / 12, 32 / 40), abs=0.02)  # cranial is up
    down, right = coloured_centre(sagittal.png, TABLE.labels[0])
    assert (down, right) == pytest.approx((1 - 9.5 / 12, 23.5 / 30), abs=0.02)  # dorsal is right


def test_the_reference_is_an_outline_and_the_prediction_a_fill(scan: Scan, reference: npt.NDArray[np.uint8]) -> None:
    nothing = np.zeros_like(reference)
    filled = pixels(draw_planes(scan, reference, nothing, TABLE)[0].png)
    outlined = pixels(draw_planes(scan, nothing, reference, TABLE)[0].png)

    centre = (round(23.5 / 30 * filled.shape[0]), round(32 / 40 * filled.shape[1]))
    assert filled[centre].max() > 0.2
    assert outlined[centre].max() == 0
    assert outlined.max() > 0.8


def test_ids_outside_of_the_table_stay_invisible(scan: Scan, reference: npt.NDArray[np.uint8]) -> None:
    strangers = np.full_like(reference, 99)

    for ours, theirs in zip(
        draw_planes(scan, strangers, reference, TABLE),
        draw_planes(scan, np.zeros_like(reference), reference, TABLE),
        strict=True,
    ):
        np.testing.assert_array_equal(pixels(ours.png), pixels(theirs.png))


def test_a_case_without_bones_is_still_drawn(scan: Scan, reference: npt.NDArray[np.uint8]) -> None:
    nothing = np.zeros_like(reference)

    assert [picture.bones for picture in draw_planes(scan, nothing, nothing, TABLE)] == [(), (), ()]
