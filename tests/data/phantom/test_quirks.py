from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from osteon.core.errors import BadInput, BadScan
from osteon.data.phantom import QUIRKS, Phantom, parse_quirks, phantom
from osteon.data.phantom.dicom import SliceFile, to_series
from osteon.data.phantom.draws import Draws
from osteon.storage.readers import Rejected, ScanSource, find_scans, open_scan

HARMLESS = [name for name, quirk in QUIRKS.items() if quirk.harmless]
HARMFUL = {
    "missing-slice": "missing-slice",
    "truncated": "declared-size",
    "zero-spacing": "pixel-spacing",
    "gantry-tilt": "tilted-gantry",
}


@pytest.fixture(scope="module")
def made() -> Phantom:
    return phantom(1, 6, (8, 34, 52), (30.0, 8.0, 8.0))


def odd_series(made: Phantom, quirk: str, folder: Path) -> list[SliceFile]:
    series = QUIRKS[quirk].change(to_series("phantom-000", made.hu, made.grid, (1, 6, 0)), Draws(1))
    for file in series:
        (folder / file.name).write_bytes(file.to_bytes())
    return series


def scans(folder: Path) -> list[ScanSource]:
    return [found for found in find_scans(folder) if not isinstance(found, Rejected)]


@pytest.mark.parametrize("quirk", HARMLESS)
def test_a_harmless_quirk_leaves_the_scan_as_it_was(made: Phantom, quirk: str, tmp_path: Path) -> None:
    odd_series(made, quirk, tmp_path)
    (source,) = scans(tmp_path)
    scan = open_scan(source, scratch=tmp_path)

    assert scan.grid.matches(made.grid)
    measured = made.hu if quirk != "padding" else np.where(outside(made), scan.read(), made.hu)
    np.testing.assert_array_equal(scan.read(), measured)


@pytest.mark.parametrize(("quirk", "code"), HARMFUL.items())
def test_a_harmful_quirk_is_refused(made: Phantom, quirk: str, code: str, tmp_path: Path) -> None:
    odd_series(made, quirk, tmp_path)
    (source,) = scans(tmp_path)

    with pytest.raises(BadScan) as refused:
        open_scan(source, scratch=tmp_path)
    assert refused.value.code == code


def test_every_quirk_is_either_read_or_refused() -> None:
    assert {*HARMLESS, *HARMFUL} == set(QUIRKS)


@pytest.mark.parametrize(
    ("quirk", "syntax"),
    [
        ("rle", "1.2.840.10008.1.2.5"),
        ("jpeg", "1.2.840.10008.1.2.4.70"),
        ("jpegls", "1.2.840.10008.1.2.4.80"),
        ("jpeg2000", "1.2.840.10008.1.2.4.90"),
        ("deflated", "1.2.840.10008.1.2.1.99"),
    ],
)
def test_compressed_series_are_smaller_and_say_how(made: Phantom, quirk: str, syntax: str, tmp_path: Path) -> None:
    for file in odd_series(made, quirk, tmp_path):
        dataset = dcmread(tmp_path / file.name)
        assert dataset.file_meta.TransferSyntaxUID == syntax
        np.testing.assert_array_equal(
            dataset.pixel_array.astype(int) + int(dataset.RescaleIntercept), made.hu[dataset.InstanceNumber - 1]
        )


def test_names_and_order_of_the_odd_series(made: Phantom, tmp_path: Path) -> None:
    def heights(quirk: str) -> list[float]:
        (tmp_path / quirk).mkdir()
        odd_series(made, quirk, tmp_path / quirk)
        return [float(dcmread(path).ImagePositionPatient[2]) for path in sorted((tmp_path / quirk).iterdir())]

    descending, shuffled = heights("descending"), heights("shuffled")
    assert descending == sorted(descending, reverse=True)
    assert sorted(shuffled) == sorted(descending)
    assert shuffled not in (descending, descending[::-1])


def test_the_localizer_is_beside_the_volume(made: Phantom, tmp_path: Path) -> None:
    odd_series(made, "localizer", tmp_path)
    rejected = [found for found in find_scans(tmp_path) if isinstance(found, Rejected)]

    assert [found.code for found in rejected] == ["localizer"]


def outside(made: Phantom) -> np.ndarray:
    _, height, width = made.hu.shape
    y, x = np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2
    return np.broadcast_to(y[:, None] ** 2 + x**2 > (max(height, width) / 2) ** 2, made.hu.shape)


def test_padding_fills_the_corners_and_nothing_else(made: Phantom) -> None:
    series = QUIRKS["padding"].change(to_series("phantom-000", made.hu, made.grid, (1,)), Draws(1))
    stored = np.stack([file.dataset.pixel_array for file in series])

    assert (stored[outside(made)] == -2000).all()
    np.testing.assert_array_equal(stored[~outside(made)] - 1024, made.hu[~outside(made)])


def test_quirks_are_named_in_a_list() -> None:
    assert parse_quirks("") == ()
    assert parse_quirks("rle, localizer") == ("rle", "localizer")
    assert parse_quirks("all") == tuple(QUIRKS)
    with pytest.raises(BadInput, match="wavy") as refused:
        parse_quirks("rle,wavy")
    assert "localizer" in refused.value.remedy
