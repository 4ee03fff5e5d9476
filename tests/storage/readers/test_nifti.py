"""The table of bad NIfTI scans, row by row; then what must be read right. nibabel writes, and says what is right."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadScan
from osteon.storage.readers import Scan

Hu = npt.NDArray[np.int16]
Write = Callable[..., Path]
Open = Callable[..., Scan]
Patch = Callable[[Path, int, bytes], None]
PIXDIM, SLOPE, UNITS, QFORM, QOFFSET, SROW = 76, 112, 123, 252, 268, 280
MIB = 1 << 20


def code_of(open_one: Open, path: Path, **options: bool) -> str:
    with pytest.raises(BadScan) as caught:
        open_one(path, **options)
    assert caught.value.where == str(path)
    assert path.name not in caught.value.what
    return caught.value.code


class TestGeometry:
    @pytest.mark.parametrize("value", [0.0, float("nan"), -1.0, float("inf")])
    @pytest.mark.parametrize("axis", [1, 2, 3])
    def test_a_broken_pixdim_is_refused(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu, axis: int, value: float
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, PIXDIM + 4 * axis, struct.pack("<f", value))
        assert code_of(open_one, path) == "spacing"

    @pytest.mark.parametrize("row", [[0.0] * 4, [float("nan")] * 4, [float("inf")] * 4])
    def test_a_singular_sform_is_refused(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu, row: list[float]
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, SROW, struct.pack("<4f", *row))
        assert code_of(open_one, path) == "singular-affine"

    def test_parallel_axes_are_refused(self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu) -> None:
        path = write_nifti(hu)
        patch_header(path, SROW, struct.pack("<12f", 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0))
        assert code_of(open_one, path) == "singular-affine"

    def test_without_sform_and_qform_sides_are_unknown(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, QFORM, bytes(4))
        assert code_of(open_one, path) == "no-orientation"

    def test_the_sform_is_followed_where_the_qform_differs(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, QFORM, struct.pack("<h", 1))
        patch_header(path, QOFFSET, struct.pack("<f", 5.0))
        scan = open_one(path)
        assert affine_ras(scan) == pytest.approx(np.diag([-0.7, -0.5, 2.0, 1.0]), abs=1e-6)
        assert scan.provenance.corrections == (
            "sform-qform: sform and qform place voxels up to 5.000 mm apart; the sform was followed",
        )

    @pytest.mark.parametrize("degrees", [(0, 0, 0), (20, 35, -50), (180, 0, 0), (0, 180, 0), (0, 0, 180), (5, 170, 3)])
    @pytest.mark.parametrize("handedness", [1, -1])
    def test_the_qform_is_followed_where_there_is_no_sform(
        self,
        write_nifti: Write,
        open_one: Open,
        patch_header: Patch,
        hu: Hu,
        degrees: tuple[float, ...],
        handedness: int,
    ) -> None:
        affine = np.eye(4)
        affine[:3, :3] = rotation(*degrees) @ np.diag([0.7, 0.5, 2.0 * handedness])
        affine[:3, 3] = (3, -40, 700)
        path = write_nifti(hu, affine)
        patch_header(path, QFORM, struct.pack("<2h", 1, 0))
        scan = open_one(path)
        assert affine_ras(scan) == pytest.approx(affine, abs=1e-4)
        assert affine_ras(scan) == pytest.approx(nibabel.load(path).affine, abs=1e-5)  # type: ignore[attr-defined]

    def test_a_sheared_sform_is_refused_or_resampled(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        sheared = np.diag([-0.7, -0.5, 2.0, 1.0])
        sheared[1, 2] = -0.5  # every slice lies one voxel further to the back (LPS)
        path = write_nifti(hu, sheared, lambda header: header.set_qform(None, code=0))
        assert code_of(open_one, path) == "tilted-gantry"
        scan = open_one(path, allow_gaps=True)
        assert scan.is_resampled
        assert scan.grid.shape == (6, 9 + 5, 8)
        for number, plane in enumerate(scan.read()):
            np.testing.assert_array_equal(plane[number : number + 9], hu[number])

    def test_slices_that_are_no_rectangles_are_refused(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        sheared = np.diag([0.7, 0.5, 2.0, 1.0])
        sheared[0, 1] = 0.2
        path = write_nifti(hu, sheared, lambda header: header.set_qform(None, code=0))
        assert code_of(open_one, path, allow_gaps=True) == "sheared-affine"

    def test_metres_are_refused(self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu) -> None:
        path = write_nifti(hu)
        patch_header(path, UNITS, b"\x01")
        assert code_of(open_one, path) == "units"

    @pytest.mark.parametrize("signs", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)])
    @pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 2, 1)])
    def test_any_axis_order_comes_out_in_lps(
        self, write_nifti: Write, open_one: Open, hu: Hu, axes: tuple[int, ...], signs: tuple[int, ...]
    ) -> None:
        affine = np.eye(4)
        affine[:3, :3] = (np.diag([0.7, 0.5, 2.0]) * signs)[:, list(axes)]
        path = write_nifti(hu, affine)
        scan = open_one(path)
        lps = nibabel.as_closest_canonical(nibabel.load(path))  # type: ignore[no-untyped-call]
        np.testing.assert_array_equal(scan.read(), np.asarray(lps.dataobj)[::-1, ::-1].T)
        assert scan.grid.spacing_mm == pytest.approx((2.0, 0.5, 0.7))
        np.testing.assert_array_equal(scan.read_slab(1, 2), scan.read()[1:2])


class TestValues:
    @pytest.mark.parametrize(
        ("slope", "intercept", "factor"),
        [
            (float("nan"), 0.0, 1.0),
            (0.0, 55.0, 1.0),
            (float("nan"), float("nan"), 1.0),
            (2.0, 0.0, 2.0),
            (1.0, -5.0, 1.0),
        ],
    )
    def test_slope_as_the_standard_says(
        self,
        write_nifti: Write,
        open_one: Open,
        patch_header: Patch,
        hu: Hu,
        slope: float,
        intercept: float,
        factor: float,
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, SLOPE, struct.pack("<2f", slope, intercept))
        shift = intercept if slope == 1.0 else 0.0
        np.testing.assert_array_equal(open_one(path).read(), hu * factor + shift)

    @pytest.mark.parametrize(("slope", "intercept"), [(np.inf, 0.0), (-np.inf, 0.0), (1.0, np.inf), (1.0, np.nan)])
    def test_a_broken_slope_is_refused(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu, slope: float, intercept: float
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, SLOPE, struct.pack("<2f", slope, intercept))
        assert code_of(open_one, path) == "rescale"

    def test_signalling_nans_are_refused_without_a_warning(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu
    ) -> None:
        signalling = struct.pack("<I", 0x7F800001)
        path = write_nifti(hu.astype(np.float32), name="ct.nii")
        patch_header(path, 352, signalling)
        assert code_of(open_one, path) == "non-finite-voxels"
        patch_header(path, SROW, signalling)
        assert code_of(open_one, path) == "singular-affine"

    def test_nan_and_infinite_voxels_are_counted(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        values = hu.astype(np.float32)
        values[0, 0, :3] = np.nan
        values[5, 8, 7] = -np.inf
        path = write_nifti(values)
        with pytest.raises(BadScan, match="4 voxels are NaN or infinite") as caught:
            open_one(path)
        assert caught.value.code == "non-finite-voxels"

    @pytest.mark.parametrize("dtype", ["int16", "int32", "uint16", "int64", "float32", "float64"])
    def test_any_number_type_with_whole_values(self, write_nifti: Write, open_one: Open, hu: Hu, dtype: str) -> None:
        values = np.abs(hu).astype(np.int32) if dtype == "uint16" else hu
        values = values - (values.min() if dtype == "uint16" else 0)
        path = write_nifti(values.astype(dtype), edit=lambda header: header.set_slope_inter(1, -1))
        np.testing.assert_array_equal(open_one(path).read(), values - 1)

    def test_fractions_are_rounded_and_recorded(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        scan = open_one(write_nifti(hu + np.float32(0.25)))
        np.testing.assert_array_equal(scan.read(), hu)
        assert scan.provenance.corrections == ("rounded: to whole HU, by at most 0.25",)

    def test_values_beyond_int16_are_refused(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        assert code_of(open_one, write_nifti(hu.astype(np.int32) * 50)) == "hu-range"

    def test_what_is_no_ct_scan_is_refused(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        assert code_of(open_one, write_nifti((hu > 300).astype(np.uint8))) == "non-hu"

    @pytest.mark.parametrize("dtype", ["complex64", [("R", "u1"), ("G", "u1"), ("B", "u1")]])
    def test_colour_and_complex_voxels_are_refused(
        self, write_nifti: Write, open_one: Open, hu: Hu, dtype: Any
    ) -> None:
        assert code_of(open_one, write_nifti(np.zeros(hu.shape, np.dtype(dtype)))) == "voxel-type"


class TestSize:
    def test_a_time_series_is_refused(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        assert code_of(open_one, write_nifti(np.stack([hu, hu]))) == "dimensions"

    def test_a_time_series_of_one_is_a_volume(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        np.testing.assert_array_equal(open_one(write_nifti(hu[None])).read(), hu)

    @pytest.mark.parametrize(
        "dim", [(3, 8, 9, 0), (3, 8, 0, 6), (2, 8, 9, 1), (3, -8, 9, 6), (0, 8, 9, 6), (9, 8, 9, 6)]
    )
    def test_a_dimension_without_voxels_is_refused(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu, dim: tuple[int, ...]
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, 40, struct.pack("<4h", *dim))
        assert code_of(open_one, path) == "dimensions"

    @pytest.mark.parametrize(("name", "code"), [("ct.nii.gz", "declared-size"), ("ct.nii", "declared-size")])
    def test_a_header_of_32767_cubed_is_refused_at_once(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu, name: str, code: str
    ) -> None:
        path = write_nifti(hu, name=name)
        patch_header(path, 40, struct.pack("<4h", 3, 32767, 32767, 32767))
        assert code_of(open_one, path) == code

    def test_more_voxels_than_deflate_can_hold_are_refused(
        self, write_nifti: Write, open_one: Open, patch_header: Patch, hu: Hu
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, 40, struct.pack("<4h", 3, 1000, 1000, 1000))
        assert code_of(open_one, path) == "declared-size"

    @pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii"])
    def test_a_truncated_file_is_refused(self, write_nifti: Write, open_one: Open, hu: Hu, name: str) -> None:
        path = write_nifti(hu, name=name)
        path.write_bytes(path.read_bytes()[:-100])
        assert code_of(open_one, path) in {"truncated-pixels", "corrupt-compression"}

    def test_a_gzip_bomb_is_not_inflated_past_the_header(
        self, write_nifti: Write, open_one: Open, hu: Hu, scratch: Path
    ) -> None:
        path = write_nifti(hu)
        with gzip.open(path, "ab", compresslevel=9) as file:
            for _ in range(256):
                file.write(bytes(MIB))
        assert path.stat().st_size < MIB
        tracemalloc.start()
        assert code_of(open_one, path) == "inflated-size"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 32 * MIB
        assert sum(file.stat().st_size for file in scratch.iterdir()) <= hu.nbytes

    def test_a_wrong_checksum_is_refused(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        path = write_nifti(hu)
        content = path.read_bytes()
        path.write_bytes(content[:-8] + bytes(4) + content[-4:])
        assert code_of(open_one, path) == "corrupt-compression"

    def test_a_gzip_file_in_several_members_is_read(self, write_nifti: Write, open_one: Open, hu: Hu) -> None:
        path = write_nifti(hu)
        content = gzip.decompress(path.read_bytes())
        path.write_bytes(gzip.compress(content[:500]) + gzip.compress(content[500:]))
        np.testing.assert_array_equal(open_one(path).read(), hu)

    def test_big_endian_files_are_read(self, tmp_path: Path, open_one: Open, hu: Hu) -> None:
        header: Any = nibabel.Nifti1Header(endianness=">")  # type: ignore[no-untyped-call]
        header.set_data_dtype(">i2")
        image: Any = nibabel.Nifti1Image(hu.T, np.diag([-0.7, -0.5, 2.0, 1.0]), header)  # type: ignore[no-untyped-call]
        image.to_filename(tmp_path / "ct.nii")
        assert (tmp_path / "ct.nii").read_bytes()[:4] == b"\0\0\x01\x5c"
        np.testing.assert_array_equal(open_one(tmp_path / "ct.nii").read(), hu)

    def test_two_files_in_one_pair_are_refused(
        self, write_nifti: Write, open_one: Open, hu: Hu, patch_header: Patch
    ) -> None:
        path = write_nifti(hu)
        patch_header(path, 344, b"ni1\0")
        assert code_of(open_one, path) == "unreadable-header"


def affine_ras(scan: Scan) -> npt.NDArray[np.float64]:
    """The source's affine as nibabel gives it: x, y, z and RAS."""
    flip = np.diag([-1.0, -1.0, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = flip @ scan.provenance.source_grid.affine[:3, :3][::-1, ::-1]
    affine[:3, 3] = flip @ scan.provenance.source_grid.affine[:3, 3][::-1]
    return affine


def rotation(*degrees: float) -> npt.NDArray[np.float64]:
    """Rotations about x, y and z, one after the other."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        turn = np.eye(3)
        one, other = [k for k in range(3) if k != axis]
        turn[[one, other], [one, other]] = np.cos(angle)
        turn[one, other], turn[other, one] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result
