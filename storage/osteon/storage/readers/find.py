"""Walks a file or a folder and lists the volumes in it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

from osteon.core.errors import BadInput, BadScan
from osteon.storage.readers.dicom_series import sort_into_volumes
from osteon.storage.readers.dicom_slices import Slice, read_slices
from osteon.storage.readers.source import Finding, Rejected, ScanSource

FORMATS: dict[str, Literal["nifti", "itk"]] = {
    ".nii": "nifti",
    ".nii.gz": "nifti",
    ".mha": "itk",
    ".mhd": "itk",
    ".nrrd": "itk",
    ".nhdr": "itk",
}


def volume_suffix(path: Path) -> str:
    """The suffix of a volume file's name (``.nii.gz`` counts as one), lower case; empty for other files."""
    name = path.name.lower()
    return next((suffix for suffix in (".nii.gz", *FORMATS) if name.endswith(suffix)), "")


def volume_stem(path: Path) -> str:
    """The name without its volume suffix."""
    return path.name[: -len(volume_suffix(path)) or None]


def find_scans(path: Path, *, skip_folders: Collection[str] = ()) -> list[Finding]:
    """Every volume in a file or below a folder, and what else DICOM files hold (`Rejected`); nothing is decoded.

    Folders whose name is among ``skip_folders`` are left out, and so are files that no reader knows.

    Raises:
        BadInput: ``no-source`` if there is no such path.
    """
    if not path.exists():
        raise BadInput("no-source", "there is no such file or folder", where=str(path))
    findings: list[Finding] = []
    slices: list[Slice] = []
    for file in sorted(_files(path, skip_folders)):
        suffix = volume_suffix(file)
        if suffix:
            findings.append(ScanSource(FORMATS[suffix], (str(file),), file.name))
            continue
        try:
            slices += read_slices(file) or ()
        except BadScan as error:
            findings.append(Rejected(str(file), error.code, error.what))
        except OSError as error:
            findings.append(Rejected(str(file), "unreadable-file", f"the file cannot be read ({error.strerror})"))
    return findings + sort_into_volumes(slices)


def _files(path: Path, skip_folders: Collection[str]) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    for folder, names, files in os.walk(path):
        names[:] = [name for name in names if not name.startswith(".") and name not in skip_folders]
        for name in files:
            file = Path(folder) / name
            if not name.startswith(".") and file.is_file():
                yield file
