"""Phantoms as files: a folder of DICOM series or NIfTI scans, each with its labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.data.phantom.case import Phantom, field_of_view, phantom
from osteon.data.phantom.dicom import to_series
from osteon.data.phantom.draws import Draws
from osteon.data.phantom.quirks import QUIRKS

Format = Literal["dicom", "nifti"]
REQUEST = ".phantoms.json"  # what a folder was asked for: tells its phantoms from anybody else's files
_LABELS = "labels.nii.gz"


@dataclass(frozen=True)
class WrittenPhantom:
    """A phantom on disk.

    Attributes:
        case_id: ``phantom-000`` and so on: the folder's name.
        scan: the NIfTI file, or the folder of the DICOM series.
        labels: the NIfTI file of its labels, on the same grid.
        quirk: what is odd about its series; empty if nothing is.
    """

    case_id: str
    scan: Path
    labels: Path
    quirk: str = ""


def write_phantoms(
    dest: Path,
    *,
    cases: int,
    seed: int,
    format: Format = "nifti",
    bones: int = 6,
    quirks: Sequence[str] = (),
    on_case: Callable[[WrittenPhantom], None] | None = None,
) -> tuple[WrittenPhantom, ...]:
    """Write phantoms to ``dest``: ``labels.json``, and per case a scan and its labels.

    Case k is the same whatever the number of cases, and has quirk k (counted round) of ``quirks``. What is there
    already from the same request is left as it is, so an interrupted run is finished by the same call.

    Args:
        dest: folder to write to; made if need be.
        cases: how many.
        seed: of the whole set.
        format: ``dicom`` or ``nifti``.
        bones: 6, 24 or 56.
        quirks: names out of `QUIRKS`; DICOM only.
        on_case: called after each case.

    Raises:
        BadInput: ``phantom-cases``, ``phantom-seed``, ``phantom-format``, ``phantom-bones``, ``phantom-quirk`` for an
            argument that cannot be used; ``foreign-folder`` and ``other-phantoms`` for a folder that holds other files.
    """
    _check(cases, seed, format, quirks)
    names = field_of_view(bones).names
    _claim(dest, {"seed": seed, "format": format, "bones": bones, "quirks": list(quirks)})
    _write(dest / "labels.json", json.dumps({str(i): name for i, name in table_for(names).names.items()}, indent=1))
    written = []
    for number in range(cases):
        case_id = f"phantom-{number:03d}"
        folder, quirk = dest / case_id, quirks[number % len(quirks)] if quirks else ""
        scan = folder / ("ct.nii.gz" if format == "nifti" else "ct")
        if not (folder / _LABELS).exists():
            _write_case(folder, phantom(seed, bones, case=number), format, (seed, bones, number), quirk)
        written.append(WrittenPhantom(case_id, scan, folder / _LABELS, quirk))
        if on_case:
            on_case(written[-1])
    return tuple(written)


def _check(cases: int, seed: int, format: str, quirks: Sequence[str]) -> None:
    if cases < 1:
        raise BadInput("phantom-cases", f"{cases} phantoms cannot be made", remedy="ask for 1 or more")
    if seed < 0:
        raise BadInput("phantom-seed", f"the seed {seed} is negative", remedy="choose 0 or more")
    if format not in get_args(Format):
        raise BadInput("phantom-format", f"there is no format {format!r}", remedy="choose dicom or nifti")
    unknown = [name for name in quirks if name not in QUIRKS]
    if unknown:
        raise BadInput("phantom-quirk", f"there is no quirk {unknown[0]!r}", remedy=f"choose among {', '.join(QUIRKS)}")
    if quirks and format != "dicom":
        raise BadInput("phantom-quirk", "quirks are of DICOM series", remedy="add --format dicom")


def _claim(dest: Path, request: dict[str, object]) -> None:
    """Refuse a folder that holds anything but phantoms of this request; mark it otherwise."""
    marker = dest / REQUEST
    if dest.exists() and not dest.is_dir():
        raise BadInput(
            "foreign-folder", "there is a file of this name", where=str(dest), remedy="choose another folder"
        )
    if marker.exists():
        before = json.loads(marker.read_text())
        if before != request:
            raise BadInput(
                "other-phantoms",
                f"the folder holds phantoms of {_say(before)}, not of {_say(request)}",
                where=str(dest),
                remedy="choose another folder, or delete this one first",
            )
        return
    if dest.exists() and any(dest.iterdir()):
        raise BadInput(
            "foreign-folder",
            "the folder holds files that are no phantoms",
            where=str(dest),
            remedy="choose a new or an empty folder",
        )
    dest.mkdir(parents=True, exist_ok=True)
    _write(marker, json.dumps(request))


def _say(request: dict[str, object]) -> str:
    return ", ".join(f"{key} {value}" for key, value in request.items() if value != [])


def _write_case(folder: Path, made: Phantom, format: Format, key: tuple[int, ...], quirk: str) -> None:
    """Write one case; its labels come last and say that it is whole."""
    folder.mkdir(exist_ok=True)
    if format == "nifti":
        _write_nifti(folder / "ct.nii.gz", made.hu, made.grid)
    else:
        series = to_series(folder.name, made.hu, made.grid, key)
        if quirk:
            series = QUIRKS[quirk].change(series, Draws(*key))
        (folder / "ct").mkdir(exist_ok=True)
        for file in series:
            (folder / "ct" / file.name).write_bytes(file.to_bytes())
    _write_nifti(folder / _LABELS, made.labels, made.grid)


def _write_nifti(path: Path, array: npt.NDArray[np.generic], grid: Grid) -> None:
    image = sitk.GetImageFromArray(array)
    spacing, origin, direction = grid.to_itk()
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    partial = path.with_name(f".{path.name}")
    sitk.WriteImage(image, str(partial), useCompression=True)
    partial.replace(path)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text + "\n")
    partial.replace(path)
