"""Writes labels as a DICOM Segmentation (SEG): an object of the patient's study, with a coded segment for each bone.

PS3.3 A.51 (BINARY: a bit plane for each bone and slice) and A.51.5 (LABELMAP: one number for each voxel, which fewer
programs read). highdicom builds the object; here is what it is told.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import highdicom
import numpy as np
from highdicom.color import CIELabColor
from highdicom.seg import SegmentAlgorithmTypeValues, Segmentation, SegmentDescription
from highdicom.sr import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import BACKGROUND, Label, LabelTable
from osteon.core.volume import Array
from osteon.storage.export.dicom_codes import ANATOMICAL_STRUCTURE, side_of, type_of
from osteon.storage.export.dicom_source import SourceSeries, read_series
from osteon.storage.export.write import write_whole
from osteon.storage.provenance import Provenance
from osteon.storage.readers import ScanSource

SegKind = Literal["BINARY", "LABELMAP"]

_SYNTAXES = {"BINARY": ExplicitVRLittleEndian, "LABELMAP": RLELossless}  # bit planes cannot be compressed by RLE
_SERIES_NUMBER = 9000  # behind the scanner's own in a viewer's list
_TEXT = 64  # characters of a DICOM long string


@dataclass(frozen=True)
class Algorithm:
    """What made the labels.

    Attributes:
        name: of the model.
        version: what tells it from others of that name: its digest.
    """

    name: str
    version: str


def write_dicom_seg(
    path: Path,
    labels_lps: Array,
    provenance: Provenance,
    table: LabelTable,
    source: ScanSource,
    algorithm: Algorithm,
    *,
    kind: SegKind = "BINARY",
) -> None:
    """Write labels as a SEG of the series they were made from, on its own planes.

    The same labels of the same series give the same identifiers, so that an archive takes a repeated one for what it
    is. A bone without voxels gets no segment.

    Args:
        path: the file.
        labels_lps: label ids z, y, x, on the scan's grid in LPS order.
        provenance: of the scan; says how labels get back onto the source's grid.
        table: names of the ids.
        source: the series, as `find_source` gives it.
        algorithm: what made the labels.
        kind: ``BINARY`` or ``LABELMAP``.

    Raises:
        BadInput: ``output-shape``, ``no-bone``, ``unknown-label-id``, ``anonymous-series``, ``dicom-seg``.
        BadScan: ``unreadable-header``.
    """
    labels = provenance.reorientation.invert(labels_lps)
    if labels.shape != provenance.source_grid.shape:
        what = f"the array of shape {labels.shape} does not fill the source's grid {provenance.source_grid.shape}"
        raise BadInput("output-shape", what, where=str(path))
    present = _present(labels, table)
    series = read_series(source, provenance)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote the patient's fields
            planes = present.class_of()[labels]
            seg = _build(planes, provenance.source_grid, present, series, algorithm, kind)
            write_whole(path, lambda file: seg.save_as(file, enforce_file_format=True))
    except (OSError, MemoryError):
        raise
    except Exception as error:  # highdicom's refusals quote the patient's fields, too
        what = f"no SEG can be made from the series' headers ({type(error).__name__})"
        raise BadInput("dicom-seg", what, where=source.name, remedy="take .nrrd or .nii.gz") from None


def _present(labels: Array, table: LabelTable) -> LabelTable:
    values = {int(value) for plane in labels for value in np.unique(plane)} - {BACKGROUND}
    if not values:
        raise BadInput("no-bone", "no bone was found, and a DICOM SEG cannot be empty", remedy="take .nii.gz or .nrrd")
    present = table.subset(values)
    if unknown := values - set(present.names):
        raise BadInput("unknown-label-id", f"the table has no names for the labels {sorted(unknown)[:5]}")
    return present


def _build(
    planes: Array, grid: Grid, table: LabelTable, series: SourceSeries, algorithm: Algorithm, kind: SegKind
) -> Segmentation:
    first = series.images[0]
    content = hashlib.sha256(np.ascontiguousarray(planes).tobytes()).hexdigest()
    key = [first.SeriesInstanceUID, kind, algorithm.name, algorithm.version, repr(table.names), content]
    return Segmentation(
        source_images=series.images[:1] if series.is_multiframe else series.images,
        further_source_images=series.images[1:] if series.is_multiframe else None,
        pixel_array=planes if series.is_aligned else _placed(planes, grid),
        segmentation_type=kind,
        segment_descriptions=list(_segments(table, algorithm)),
        series_instance_uid=generate_uid(entropy_srcs=[*key, "series"]),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=generate_uid(entropy_srcs=[*key, "instance"]),
        instance_number=1,
        manufacturer="Osteon",
        manufacturer_model_name="Osteon",
        software_versions=version("osteon"),
        device_serial_number=algorithm.version[:_TEXT],
        content_label="BONES",
        content_description="Bones",
        series_description="Bones (Osteon)",
        transfer_syntax_uid=_SYNTAXES[kind],
        specific_character_set="ISO_IR 192",  # UTF-8 holds whatever names the source has, in whichever encoding
    )


def _placed(planes: Array, grid: Grid) -> highdicom.Volume:
    """Planes with their geometry: from slice, row and column to x, y, z."""
    affine = grid.affine
    affine[:3] = affine[:3][::-1]
    return highdicom.Volume(planes, affine, coordinate_system="PATIENT")


def _segments(table: LabelTable, algorithm: Algorithm) -> Iterator[SegmentDescription]:
    identification = highdicom.AlgorithmIdentificationSequence(
        algorithm.name[:_TEXT], codes.DCM.ArtificialIntelligence, algorithm.version[:_TEXT], source="Osteon"
    )
    for number, label in enumerate(table.labels, start=1):
        yield _segment(number, label, identification)


def _segment(
    number: int, label: Label, identification: highdicom.AlgorithmIdentificationSequence
) -> SegmentDescription:
    segment = SegmentDescription(
        segment_number=number,
        segment_label=label.name[:_TEXT],
        segmented_property_category=ANATOMICAL_STRUCTURE,
        segmented_property_type=type_of(label.name),
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=identification,
        display_color=CIELabColor.from_rgb(*label.rgba[:3]),
    )
    side = side_of(label.name)
    if side is not None:
        concept = segment.SegmentedPropertyTypeCodeSequence[0]
        concept.SegmentedPropertyTypeModifierCodeSequence = [CodedConcept.from_code(side)]
    return segment
