"""What a folder holds before anything is decoded: volumes found, and what was found but is no volume.

Knows files and their headers' summary; knows no voxels and no cases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from osteon.storage.readers.dicom_slices import Slice


@dataclass(frozen=True)
class ScanSource:
    """One volume on disk, not yet decoded.

    Attributes:
        format: which reader opens it; ``itk`` stands for MetaImage and NRRD.
        files: the paths it is made of.
        name: the file's or folder's name, for messages to people; never stored.
        slices: the frames of a DICOM volume, as `find_scans` read their headers; empty for other formats.
    """

    format: Literal["dicom", "nifti", "itk"]
    files: tuple[str, ...]
    name: str
    slices: tuple[Slice, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Rejected:
    """Something that was found and must not become a case.

    Attributes:
        where: the path, for messages to people; never stored in a dataset.
        code: machine code in kebab-case.
        reason: what is wrong, without names of files or patients.
    """

    where: str
    code: str
    reason: str


Finding = ScanSource | Rejected
