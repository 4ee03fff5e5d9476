"""The frames of a DICOM file as plain values: where their pixels are, where they lie in the patient, what they claim.

Knows single files only; `dicom_series` sorts frames into volumes and `dicom_stack` judges a volume's geometry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from osteon.core.errors import BadScan
from osteon.storage.readers import transfer_syntax
from osteon.storage.readers.dicom_header import Fields, Header, parsing, read_header

MAX_FRAMES = 65536
KEPT_FIELDS = (
    "KVP", "ConvolutionKernel", "Manufacturer", "ManufacturerModelName", "SliceThickness", "XRayTubeCurrent",
    "Exposure", "ExposureTime", "BodyPartExamined", "PatientPosition", "GantryDetectorTilt", "FilterType",
    "ReconstructionDiameter",
)  # fmt: skip
"""Acquisition fields kept in a case's provenance; nothing else of a DICOM header is."""

_READ_FIELDS = (
    *KEPT_FIELDS, "SOPClassUID", "Modality", "ImageType", "SeriesInstanceUID", "Rows", "Columns", "NumberOfFrames",
    "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "LossyImageCompression", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)  # fmt: skip

Numbers = tuple[float, ...]


@dataclass(frozen=True)
class PixelLayout:
    """How the stored numbers of a file's frames lie in its bytes.

    Attributes:
        syntax: transfer syntax UID.
        offset: first byte of the pixel data's value, in the file (in the inflated data set, if it is deflated).
        length: bytes of that value; None if encapsulated; 0 if there are no pixels.
        rows: pixels along a column.
        columns: pixels along a row.
        frames: frames in the file.
        bits_allocated: bits one pixel occupies.
        bits_stored: bits of them that hold its value.
        signed: whether the stored numbers are two's complement.
        samples: values per pixel: 1, or 3 for colour.
        photometric: PhotometricInterpretation.
    """

    syntax: str
    offset: int
    length: int | None
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    samples: int
    photometric: str


@dataclass(frozen=True)
class Slice:
    """One frame; vectors are x, y, z as DICOM writes them. None stands for what is absent, NaN for what is no number.

    Attributes:
        path: the file.
        frame: number of the frame in the file, from 0.
        layout: how its pixels are stored.
        series: digest of the series UID (of the folder, where the UID is empty): a key, never the UID itself.
        sop_class: SOP class UID.
        modality: for example ``CT``.
        image_type: the first three values of ImageType.
        position: ImagePositionPatient, mm.
        orientation: ImageOrientationPatient: cosines of the row, then of the column.
        spacing: PixelSpacing, mm: between rows, then between columns.
        thickness: SliceThickness, mm.
        slope: RescaleSlope.
        intercept: RescaleIntercept, HU.
        rescale_type: RescaleType, for example ``HU``.
        padding: PixelPaddingValue, a stored number.
        is_lossy: whether the header or the transfer syntax says that compression changed pixels.
        fields: the kept acquisition fields, name and value.
    """

    path: str
    frame: int
    layout: PixelLayout
    series: str
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    position: Numbers | None
    orientation: Numbers | None
    spacing: Numbers | None
    thickness: float | None
    slope: float | None
    intercept: float | None
    rescale_type: str
    padding: int | None
    is_lossy: bool
    fields: tuple[tuple[str, str], ...]


def read_slices(path: Path) -> tuple[Slice, ...] | None:
    """Every frame of a DICOM file, or None if the file is no DICOM file. Objects without pixels count as one frame.

    Raises:
        BadScan: ``unreadable-header``, ``nested-sequences``, ``inflated-size``.
    """
    with parsing(path):
        header = read_header(path, _READ_FIELDS)
        return None if header is None else tuple(_slices(path, header))


def _slices(path: Path, header: Header) -> Iterator[Slice]:
    fields = header.fields
    layout = _layout(header)
    shared = fields.item("SharedFunctionalGroupsSequence")
    frames = fields.items("PerFrameFunctionalGroupsSequence")
    if frames and len(frames) != layout.frames:
        what = f"{layout.frames} frames, but {len(frames)} functional groups"
        raise BadScan("unreadable-header", what, remedy="export the file again")
    if layout.frames > MAX_FRAMES:
        raise BadScan("declared-size", f"{layout.frames} frames, at most {MAX_FRAMES} are read")
    if not frames:
        only = _slice(path, 0, layout, fields, ())
        # Frames that no functional group places are nowhere; one stands for all of them.
        yield only if layout.frames == 1 else replace(only, position=None)
    for number, group in enumerate(frames):
        yield _slice(path, number, layout, fields, (group, shared))


def _layout(header: Header) -> PixelLayout:
    fields = header.fields
    frames = fields.numbers("NumberOfFrames", 1) or (1.0,)
    return PixelLayout(
        syntax=header.syntax,
        offset=header.offset,
        length=header.length,
        rows=fields.integer("Rows") or 0,
        columns=fields.integer("Columns") or 0,
        frames=max(1, int(min(frames[0], MAX_FRAMES + 1))) if frames[0] == frames[0] else 1,
        bits_allocated=fields.integer("BitsAllocated") or 0,
        bits_stored=fields.integer("BitsStored") or 0,
        signed=fields.integer("PixelRepresentation") == 1,
        samples=fields.integer("SamplesPerPixel") or 1,
        photometric=fields.text("PhotometricInterpretation"),
    )


def _slice(path: Path, number: int, layout: PixelLayout, fields: Fields, groups: tuple[Fields, ...]) -> Slice:
    def macro(sequence: str) -> Fields:
        """Where a value lives: in the frame's functional group, in the shared one, or in the data set itself."""
        return next((group.item(sequence) for group in groups if group.items(sequence)), fields)

    rescale = macro("PixelValueTransformationSequence")
    measures = macro("PixelMeasuresSequence")
    frame_type = macro("CTImageFrameTypeSequence").text("FrameType") or fields.text("ImageType")
    lossy = fields.text("LossyImageCompression") == "01" or layout.syntax in transfer_syntax.LOSSY
    return Slice(
        path=str(path),
        frame=number,
        layout=layout,
        series=_series_key(path, fields.text("SeriesInstanceUID")),
        sop_class=fields.text("SOPClassUID"),
        modality=fields.text("Modality"),
        image_type=tuple(part.strip().upper() for part in frame_type.split("\\")[:3]),
        position=macro("PlanePositionSequence").numbers("ImagePositionPatient", 3),
        orientation=macro("PlaneOrientationSequence").numbers("ImageOrientationPatient", 6),
        spacing=measures.numbers("PixelSpacing", 2),
        thickness=(measures.numbers("SliceThickness", 1) or (None,))[0],
        slope=(rescale.numbers("RescaleSlope", 1) or (None,))[0],
        intercept=(rescale.numbers("RescaleIntercept", 1) or (None,))[0],
        rescale_type=rescale.text("RescaleType"),
        padding=fields.integer("PixelPaddingValue", signed=layout.signed),
        is_lossy=lossy,
        fields=tuple((name, value[:64]) for name in KEPT_FIELDS if (value := fields.text(name))),
    )


def _series_key(path: Path, uid: str) -> str:
    return hashlib.sha256((uid or str(path.parent)).encode()).hexdigest()[:16]
