"""Walking folders: what is found, under which name, in which order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput, BadScan
from osteon.storage.readers import ScanSource, find_scans, open_scan, read_geometry, volume_stem, volume_suffix

Hu = npt.NDArray[np.int16]


@pytest.mark.parametrize(
    ("name", "stem", "suffix"),
    [
        ("ct.nii.gz", "ct", ".nii.gz"),
        ("a.b.NRRD", "a.b", ".nrrd"),
        ("x.seg.nrrd", "x.seg", ".nrrd"),
        ("IM1", "IM1", ""),
    ],
)
def test_names(name: str, stem: str, suffix: str) -> None:
    assert (volume_stem(Path(name)), volume_suffix(Path(name))) == (stem, suffix)


def test_a_folder_is_walked_in_order(write_nifti: Callable[..., Path], tmp_path: Path, hu: Hu) -> None:
    for folder in ("b", "a", "masks", ".hidden"):
        (tmp_path / folder).mkdir()
        write_nifti(hu, name=f"{folder}/ct.nii.gz")
    (tmp_path / "a" / "._ct.nii.gz").write_bytes(b"what macOS leaves behind")
    findings = find_scans(tmp_path, skip_folders=("masks",))
    assert [found.files for found in findings if isinstance(found, ScanSource)] == [
        (str(tmp_path / "a" / "ct.nii.gz"),),
        (str(tmp_path / "b" / "ct.nii.gz"),),
    ]


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        find_scans(tmp_path / "nowhere")
    assert caught.value.code == "no-source"


def test_a_file_that_goes_away_is_a_refusal(write_nifti: Callable[..., Path], scratch: Path, hu: Hu) -> None:
    path = write_nifti(hu)
    [source] = find_scans(path)
    assert isinstance(source, ScanSource)
    path.unlink()
    with pytest.raises(BadScan) as caught:
        open_scan(source, scratch=scratch)
    assert (caught.value.code, caught.value.where) == ("unreadable-file", str(path))


def test_a_file_cut_short_after_opening_is_a_refusal(write_nifti: Callable[..., Path], scratch: Path, hu: Hu) -> None:
    path = write_nifti(hu, name="ct.nii")
    [source] = find_scans(path)
    assert isinstance(source, ScanSource)
    scan = open_scan(source, scratch=scratch)
    path.write_bytes(path.read_bytes()[:-10])
    np.testing.assert_array_equal(scan.read_slab(0, 2), hu[:2])
    with pytest.raises(BadScan) as caught:
        scan.read()
    assert caught.value.code == "truncated-pixels"


def test_geometry_without_voxels(write_nifti: Callable[..., Path], hu: Hu) -> None:
    path = write_nifti(hu)
    [source] = find_scans(path)
    assert isinstance(source, ScanSource)
    geometry = read_geometry(source)
    assert geometry is not None
    assert geometry.shape == hu.shape
    path.write_bytes(b"\x1f\x8b nothing")
    assert read_geometry(source) is None
