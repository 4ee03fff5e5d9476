"""The DICOM series that a scan was read from, once more: what an object derived from it has to take over.

Patient, study and frame of reference come from the series' own headers, which are read here and kept nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from osteon.core.errors import BadInput
from osteon.storage.provenance import Provenance
from osteon.storage.readers import ScanSource, find_scans, source_digest
from osteon.storage.readers.dicom_header import parsing
from osteon.storage.readers.dicom_stack import sort_slices

_NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_MAY_BE_EMPTY = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator",
)  # fmt: skip


@dataclass(frozen=True)
class SourceSeries:
    """The headers of a series.

    Attributes:
        images: data sets without pixels, one for each file; in order of the scan's planes if ``is_aligned``.
        is_multiframe: whether a file holds many planes.
        is_aligned: whether the n-th image is the n-th plane of the scan's source grid.
    """

    images: tuple[Dataset, ...]
    is_multiframe: bool
    is_aligned: bool


def find_source(path: Path, provenance: Provenance) -> ScanSource:
    """The series below ``path`` (or the file) that a scan was read from, known by its digest.

    Raises:
        BadInput: ``needs-dicom``: the scan was no DICOM; ``other-series``: it is not there.
    """
    if provenance.source_format != "dicom":
        raise needs_dicom()
    for found in find_scans(path):
        if not isinstance(found, ScanSource) or found.format != "dicom":
            continue
        if source_digest(found) == provenance.source_digest:
            return found
    what, remedy = "the series the labels were made from is not there, or was changed", "give its folder as it was"
    raise BadInput("other-series", what, where=str(path), remedy=remedy)


def needs_dicom() -> BadInput:
    """The refusal of a SEG where there is no series that it could belong to."""
    remedy = "segment the DICOM series itself, or take another format: .nii.gz, .mha, .nrrd, .zarr"
    return BadInput("needs-dicom", "a DICOM SEG belongs to a DICOM series, and there is none", remedy=remedy)


def read_series(source: ScanSource, provenance: Provenance) -> SourceSeries:
    """The headers of a series' files, complete with what may be empty but must be there.

    Raises:
        BadInput: ``anonymous-series``: identifiers that tie an object to its study and its place are missing.
        BadScan: ``unreadable-header``.
    """
    ordered, stack = sort_slices(source.slices)
    copies = set(stack.coincident())
    kept = [number for number in range(len(ordered)) if number not in copies]
    files = dict.fromkeys(ordered[number].path for number in kept)
    images = tuple(_read(Path(file)) for file in files)
    planes = stack.take(kept)
    is_multiframe = "NumberOfFrames" in images[0]
    is_grid = planes.fault() is None and planes.grid().matches(provenance.source_grid)
    return SourceSeries(images, is_multiframe, is_aligned=is_grid and not is_multiframe)


def _read(path: Path) -> Dataset:
    with parsing(path):
        dataset = dcmread(path, stop_before_pixels=True, force=True)
        missing = [keyword for keyword in _NEEDED if not dataset.get(keyword)]
        for keyword in _MAY_BE_EMPTY:
            if keyword not in dataset:
                setattr(dataset, keyword, None)
    if missing:
        remedy = "export the series from the archive again, with its identifiers"
        raise BadInput("anonymous-series", f"there is no {missing[0]}", where=str(path), remedy=remedy)
    return dataset
