"""The endings of file names that scans are sent under: all that is kept of a name, for names tell of patients."""

from __future__ import annotations

from osteon.core.errors import BadInput

SUFFIXES = (".nii.gz", ".nii", ".mha", ".nrrd", ".zip")
CASE = ".zarr"


def suffix_of(filename: str) -> str:
    """The ending of a scan's file name.

    Raises:
        BadInput: ``media-type``.
    """
    for suffix in SUFFIXES:
        if filename.lower().endswith(suffix):
            return suffix
    remedy = f"send a file that ends in one of {', '.join(SUFFIXES)}; a zip for DICOM"
    raise BadInput("media-type", "the file's ending is none that scans have", remedy=remedy)
