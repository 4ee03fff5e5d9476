"""Sorts the frames of many DICOM files into volumes, and says what the rest is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from osteon.storage.readers import transfer_syntax
from osteon.storage.readers.dicom_slices import Numbers, Slice
from osteon.storage.readers.source import Finding, Rejected, ScanSource

_CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2")
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DIRECTORY = "1.2.840.10008.1.3.10"  # a DICOMDIR only lists the others


def sort_into_volumes(slices: Iterable[Slice]) -> list[Finding]:
    """One `ScanSource` per volume series; localizers, secondary captures and non-CT objects as `Rejected`.

    A series is split by orientation, matrix, pixel spacing, ImageType and, among lossy frames, transfer syntax. It may
    be spread over folders; where several folders hold the same positions, each is a volume of its own.
    """
    groups: dict[tuple[str, ...], list[Slice]] = defaultdict(list)
    for frame in slices:
        if frame.sop_class != _DIRECTORY:
            groups[_key(frame)].append(frame)
    return [_finding(part) for group in groups.values() for part in _split_copies(group)]


def _split_copies(group: list[Slice]) -> list[list[Slice]]:
    """The group, or its folders one by one if they hold the same positions: copies, or UIDs that are not unique."""
    folders: dict[Path, list[Slice]] = defaultdict(list)
    for frame in group:
        folders[Path(frame.path).parent].append(frame)
    places = [{frame.position for frame in frames} for frames in folders.values()]
    apart = len(set().union(*places)) == sum(map(len, places))
    return [group] if apart else list(folders.values())


def _key(frame: Slice) -> tuple[str, ...]:
    layout = frame.layout
    return (
        frame.series,
        frame.sop_class,
        frame.modality,
        f"{layout.rows}x{layout.columns}x{layout.samples}",
        _rounded(frame.orientation, 3),
        _rounded(frame.spacing, 4),
        "\\".join(frame.image_type),
        layout.syntax if layout.syntax in transfer_syntax.LOSSY else str(frame.is_lossy),
    )


def _rounded(numbers: Numbers | None, digits: int) -> str:
    return "" if numbers is None else " ".join(f"{round(number, digits) + 0.0:g}" for number in numbers)


def _finding(group: list[Slice]) -> Finding:
    folder = Path(group[0].path).parent
    files = tuple(sorted({frame.path for frame in group}))
    reason = _why_not(group[0])
    if reason is not None:
        code, what = reason
        return Rejected(files[0] if len(files) == 1 else str(folder), code, f"{what} ({len(files)} files)")
    return ScanSource("dicom", files, folder.name if len(files) > 1 else Path(files[0]).name, tuple(group))


def _why_not(frame: Slice) -> tuple[str, str] | None:
    if frame.sop_class.startswith(_SECONDARY_CAPTURE):
        return "secondary-capture", "a secondary capture: a picture, not a measurement"
    if frame.modality != "CT" or (frame.sop_class and frame.sop_class not in _CT_CLASSES):
        return "not-ct", f"a {frame.modality or 'DICOM'} object, not a CT image"
    if "LOCALIZER" in frame.image_type:
        return "localizer", "a localizer: a projection, not a slice"
    return None
