"""The table of bad DICOM scans, row by row; then what must be read right."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from osteon.core.errors import BadScan, OsteonError
from osteon.storage.readers import Scan, ScanSource, find_scans, open_scan, source_digest

Hu = npt.NDArray[np.int16]
Write = Callable[..., Path]
Open = Callable[..., Scan]


def code_of(open_one: Open, path: Path) -> str:
    with pytest.raises(BadScan) as caught:
        open_one(path).read()
    assert caught.value.where.startswith(str(path))
    return caught.value.code


class TestGeometry:
    def test_a_missing_slice_is_refused_and_the_gap_listed(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        (folder / "IM0003").unlink()
        with pytest.raises(
            BadScan, match=r"1 slices 2 mm apart are missing: 1 after 104\.00 mm.*--allow-gaps"
        ) as caught:
            open_one(folder)
        assert caught.value.code == "missing-slice"

    def test_on_request_a_missing_slice_is_interpolated_and_recorded(
        self, write_series: Write, open_one: Open, hu: Hu
    ) -> None:
        folder = write_series(hu)
        (folder / "IM0003").unlink()
        scan = open_one(folder, allow_gaps=True)
        expected = hu.copy()
        expected[3] = np.rint((hu[2].astype(float) + hu[4]) / 2)
        np.testing.assert_array_equal(scan.read(), expected)
        assert scan.is_resampled
        assert scan.provenance.corrections[0].startswith("missing-slice: 1 slices")

    def test_identical_duplicates_are_dropped(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        again = pydicom.dcmread(folder / "IM0002")
        again.SOPInstanceUID = generate_uid()
        again.save_as(folder / "copy")
        scan = open_one(folder)
        np.testing.assert_array_equal(scan.read(), hu)
        assert scan.provenance.corrections == ("duplicate-slice: 1 identical copies dropped",)

    def test_differing_duplicates_are_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        again = pydicom.dcmread(folder / "IM0002")
        again.PixelData = pydicom.dcmread(folder / "IM0001").PixelData
        again.save_as(folder / "copy")
        assert code_of(open_one, folder) == "duplicate-slice"

    def test_uneven_spacing_is_refused_or_resampled(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def move(dataset: Dataset, number: int) -> None:
            dataset.ImagePositionPatient = [-10, -20, 100 + [0, 2, 4, 6.8, 8, 10][number]]

        folder = write_series(hu, move)
        assert code_of(open_one, folder) == "uneven-spacing"
        scan = open_one(folder, allow_gaps=True)
        assert scan.provenance.corrections[0].startswith("uneven-spacing: slice distances run from 1.200 to 2.800 mm")
        np.testing.assert_array_equal(scan.read()[[0, -1]], hu[[0, -1]])

    def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(
        self, write_series: Write, open_one: Open, hu: Hu
    ) -> None:
        def round_position(dataset: Dataset, number: int) -> None:
            dataset.ImagePositionPatient = [-10, -20, round(100 + 1.25 * number + 1e-9, 1)]

        scan = open_one(write_series(hu, round_position))
        assert scan.grid.spacing_mm[0] == pytest.approx(1.25, abs=0.02)

    def test_a_tilted_gantry_is_seen_in_the_positions(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def tilt(dataset: Dataset, number: int) -> None:
            dataset.ImagePositionPatient = [-10, -20 + 0.5 * number, 100 + 2.0 * number]

        folder = write_series(hu, tilt)
        assert code_of(open_one, folder) == "tilted-gantry"
        scan = open_one(folder, allow_gaps=True)
        # Each slice lies one pixel (0.5 mm) further to the back: upright, slice n begins at row n.
        assert scan.grid.shape == (6, 9 + 5, 8)
        for number, plane in enumerate(scan.read()):
            np.testing.assert_array_equal(plane[number : number + 9], hu[number])
            assert (np.delete(plane, np.s_[number : number + 9], axis=0) == -1024).all()
        assert "tilted by 14.04 degrees" in scan.provenance.corrections[0]

    def test_a_single_slice_without_thickness_is_no_volume(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def forget(dataset: Dataset, _number: int) -> None:
            del dataset.SliceThickness

        assert code_of(open_one, write_series(hu[:1], forget)) == "single-slice"

    @pytest.mark.parametrize("position", [None, ["nan", "0", "0"], ["", "", ""]])
    def test_a_slice_without_position_is_refused(
        self, write_series: Write, open_one: Open, hu: Hu, position: list[str] | None
    ) -> None:
        def lose(dataset: Dataset, number: int) -> None:
            if number == 2:
                set_text(dataset, "ImagePositionPatient", position)

        assert code_of(open_one, write_series(hu, lose)) == "no-position"

    def test_an_orientation_that_is_none_is_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def skew(dataset: Dataset, _number: int) -> None:
            dataset.ImageOrientationPatient = [1, 0, 0, 0.2, 1, 0]

        assert code_of(open_one, write_series(hu, skew)) == "orientation"


def set_text(dataset: Dataset, keyword: str, value: list[str] | None) -> None:
    """Write a decimal string that pydicom would not let pass."""
    if value is None:
        del dataset[keyword]
        return
    text = "\\".join(value)
    dataset[keyword] = pydicom.DataElement(pydicom.tag.Tag(keyword), "LO", text)  # same bytes, another VR


class TestValues:
    @pytest.mark.parametrize(
        ("keyword", "value", "code"),
        [
            ("RescaleSlope", ["0"], "rescale"),
            ("RescaleSlope", ["NaN"], "rescale"),
            ("RescaleIntercept", ["1e999"], "rescale"),
            ("RescaleSlope", None, "no-rescale"),
            ("RescaleIntercept", None, "no-rescale"),
            ("PixelSpacing", ["0", "0.7"], "pixel-spacing"),
            ("PixelSpacing", ["NaN", "0.7"], "pixel-spacing"),
            ("PixelSpacing", ["-0.5", "0.7"], "pixel-spacing"),
            ("PixelSpacing", None, "pixel-spacing"),
        ],
    )
    def test_a_broken_number_is_refused(
        self, write_series: Write, open_one: Open, hu: Hu, keyword: str, value: list[str] | None, code: str
    ) -> None:
        folder = write_series(hu, lambda dataset, _number: set_text(dataset, keyword, value))
        assert code_of(open_one, folder) == code

    def test_monochrome1_is_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def invert(dataset: Dataset, _number: int) -> None:
            dataset.PhotometricInterpretation = "MONOCHROME1"

        assert code_of(open_one, write_series(hu, invert)) == "photometric"

    def test_colour_is_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def paint(dataset: Dataset, _number: int) -> None:
            dataset.PhotometricInterpretation, dataset.SamplesPerPixel, dataset.PlanarConfiguration = "RGB", 3, 0
            dataset.BitsAllocated = dataset.BitsStored = 8
            dataset.PixelData = bytes(3 * dataset.Rows * dataset.Columns + 1)

        assert code_of(open_one, write_series(hu, paint)) == "photometric"

    def test_values_beyond_int16_are_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def stretch(dataset: Dataset, _number: int) -> None:
            dataset.RescaleSlope = "40"

        assert code_of(open_one, write_series(hu, stretch)) == "hu-range"

    def test_values_that_are_no_hu_are_marked(self, write_series: Write, open_one: Open) -> None:
        windowed = np.arange(6 * 9 * 8, dtype=np.int16).reshape(6, 9, 8) % 256
        scan = open_one(write_series(windowed))
        assert scan.provenance.corrections == ("non-hu: values run from 0 to 255, which is no CT scan's range",)

    def test_padding_keeps_its_value_and_is_recorded(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def pad(dataset: Dataset, _number: int) -> None:
            dataset.PixelPaddingValue = -3000 + 24

        hu[:, 0, 0] = -3000
        scan = open_one(write_series(hu, pad))
        np.testing.assert_array_equal(scan.read(), hu)
        assert scan.provenance.corrections == ("padding: -3000 HU stands where nothing was measured",)

    @pytest.mark.parametrize("intercept", [-1000, 0, -8192])
    def test_any_intercept_is_applied_exactly(
        self, write_series: Write, open_one: Open, hu: Hu, intercept: int
    ) -> None:
        def shift(dataset: Dataset, number: int) -> None:
            dataset.RescaleIntercept = str(intercept)
            dataset.PixelData = (hu[number].astype(np.int32) - intercept).astype("<i2").tobytes()

        np.testing.assert_array_equal(open_one(write_series(hu, shift)).read(), hu)

    def test_fractional_slopes_are_rounded_to_whole_hu(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def halve(dataset: Dataset, _number: int) -> None:
            dataset.RescaleSlope = "0.25"

        scan = open_one(write_series(hu, halve))
        np.testing.assert_array_equal(scan.read(), np.rint((hu + 24.0) * 0.25 - 24))
        assert scan.provenance.corrections[0] == "rounded: to whole HU, by at most 0.5"


class TestBytes:
    def test_truncated_pixels_are_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        file = folder / "IM0004"
        file.write_bytes(file.read_bytes()[:-20])
        assert code_of(open_one, folder) == "truncated-pixels"

    def test_truncated_compressed_pixels_are_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def compress(dataset: Dataset, _number: int) -> None:
            dataset.compress(pydicom.uid.RLELossless)

        folder = write_series(hu, compress)
        file = folder / "IM0004"
        file.write_bytes(file.read_bytes()[:-40])
        assert code_of(open_one, folder) == "truncated-pixels"

    @pytest.mark.parametrize("keyword", ["Rows", "Columns"])
    def test_a_matrix_larger_than_the_bytes_is_refused(
        self, write_series: Write, open_one: Open, hu: Hu, keyword: str
    ) -> None:
        folder = write_series(hu, lambda dataset, _number: setattr(dataset, keyword, 60000))
        assert code_of(open_one, folder) == "declared-size"

    def test_more_frames_than_bytes_are_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu, lambda dataset, _number: setattr(dataset, "NumberOfFrames", 5000))
        assert code_of(open_one, folder) == "declared-size"

    def test_frames_that_nothing_places_are_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def pile_up(dataset: Dataset, _number: int) -> None:
            dataset.NumberOfFrames = len(hu)
            dataset.PixelData = (hu + 24).astype("<i2").tobytes()

        assert code_of(open_one, write_series(hu[:1], pile_up)) == "no-position"

    def test_a_file_without_pixels_is_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def lose(dataset: Dataset, _number: int) -> None:
            del dataset.PixelData

        assert code_of(open_one, write_series(hu[:1], lose)) == "no-pixels"

    def test_an_unknown_transfer_syntax_is_refused(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        mpeg = pydicom.uid.MPEG2MPML

        def claim(dataset: Dataset, _number: int) -> None:
            dataset.PixelData = pydicom.encaps.encapsulate([b"\0" * 200])
            dataset.file_meta.TransferSyntaxUID = mpeg

        assert code_of(open_one, write_series(hu, claim)) == "transfer-syntax"


class TestReadRight:
    def test_names_and_instance_numbers_say_nothing_about_order(
        self, write_series: Write, open_one: Open, hu: Hu
    ) -> None:
        def shuffle(dataset: Dataset, number: int) -> None:
            place = [3, 0, 5, 1, 4, 2][number]
            dataset.ImagePositionPatient = [-10, -20, 100 + 2 * place]
            dataset.InstanceNumber = 90 - place
            dataset.PixelData = (hu[place] + 24).astype("<i2").tobytes()

        scan = open_one(write_series(hu, shuffle))
        np.testing.assert_array_equal(scan.read(), hu)
        assert scan.grid.origin_mm == (100.0, -20.0, -10.0)
        assert scan.grid.spacing_mm == (2.0, 0.5, 0.7)

    def test_descending_series_end_up_ascending(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def descend(dataset: Dataset, number: int) -> None:
            dataset.ImagePositionPatient = [-10, -20, 100 - 2 * number]

        np.testing.assert_array_equal(open_one(write_series(hu, descend)).read(), hu[::-1])

    def test_empty_uids_make_one_volume_of_a_folder(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def clear(dataset: Dataset, _number: int) -> None:
            dataset.SOPClassUID = dataset.SeriesInstanceUID = dataset.StudyInstanceUID = ""

        np.testing.assert_array_equal(open_one(write_series(hu, clear)).read(), hu)

    def test_a_coronal_series_is_brought_to_lps(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def stand_up(dataset: Dataset, number: int) -> None:
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
            dataset.ImagePositionPatient = [-10, -20 + 2 * number, 100]

        scan = open_one(write_series(hu, stand_up))
        np.testing.assert_array_equal(scan.read(), hu.transpose(1, 0, 2)[::-1])
        assert scan.grid.spacing_mm == (0.5, 2.0, 0.7)
        np.testing.assert_array_equal(scan.read_slab(2, 4), scan.read()[2:4])

    def test_bits_above_those_stored_are_ignored(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        def dirty(dataset: Dataset, number: int) -> None:
            dataset.BitsStored, dataset.HighBit = 12, 11
            stored = np.clip(hu[number] + 24, -2048, 2047)
            dataset.PixelData = ((stored & 0x0FFF) | 0x5000).astype("<u2").tobytes()

        np.testing.assert_array_equal(open_one(write_series(hu, dirty)).read(), hu)

    def test_slabs_are_parts_of_the_whole(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        scan = pickle.loads(pickle.dumps(open_one(write_series(hu))))
        for z0, z1 in ((0, 1), (2, 5), (5, 6)):
            np.testing.assert_array_equal(scan.read_slab(z0, z1), hu[z0:z1])


class TestProvenance:
    def test_no_patient_field_is_kept_anywhere(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        provenance = open_one(folder).provenance
        assert provenance.fields == {
            "KVP": "120", "Manufacturer": "Phantom Works", "ConvolutionKernel": "B30f", "SliceThickness": "2.0",
        }  # fmt: skip
        for secret in ("Doe", "SECRET-77", "1950", "2020", "Elsewhere", "ACC-99", "IM000", str(folder), "1.2.3"):
            assert secret not in repr(provenance)

    def test_errors_say_nothing_about_the_patient(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu, lambda dataset, _number: set_text(dataset, "RescaleSlope", ["0"]))
        with pytest.raises(OsteonError) as caught:
            open_one(folder)
        assert "Doe" not in str(caught.value)
        assert "IM000" not in caught.value.what

    def test_the_digest_does_not_depend_on_names(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        before = open_one(folder).provenance.source_digest
        for file in list(folder.iterdir()):
            file.rename(folder / f"{9999 - int(file.name[2:])}.dcm")
        [source] = find_scans(folder)
        assert isinstance(source, ScanSource)
        assert before == open_one(folder).provenance.source_digest == source_digest(source)

    def test_the_digest_depends_on_every_byte(self, write_series: Write, open_one: Open, hu: Hu) -> None:
        folder = write_series(hu)
        before = open_one(folder).provenance.source_digest
        file = folder / "IM0005"
        file.write_bytes(file.read_bytes()[:-1] + b"\x01")
        assert before != open_one(folder).provenance.source_digest

    def test_a_source_made_by_hand_is_opened_from_its_files(self, write_series: Write, scratch: Path, hu: Hu) -> None:
        files = tuple(str(file) for file in write_series(hu).iterdir())
        np.testing.assert_array_equal(open_scan(ScanSource("dicom", files, "x"), scratch=scratch).read(), hu)
