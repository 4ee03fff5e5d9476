"""Layout ``totalsegmentator``: ``s0000/ct.nii.gz`` with ``s0000/segmentations/<structure>.nii.gz``, and ``meta.csv``.

The source may also be one such subject. Its scan is then called ``ct``, or is the one whose grid the masks share.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osteon.core.errors import OsteonError
from osteon.storage.importers.names import masks
from osteon.storage.importers.plan import CaseSource, Found, case_id_of
from osteon.storage.importers.scans import MASK_FOLDER, lie_on_one_grid, looks_like_labels
from osteon.storage.importers.splits import read_meta
from osteon.storage.readers import LabelSource, Rejected, ScanSource, find_scans, volume_stem


def recognises(root: Path) -> bool:
    """Whether the folder is such a dataset, or one subject of it."""
    return root.is_dir() and bool(_subjects(root))


def plan(root: Path, _names: Mapping[int, str] | None) -> Found:
    """Every subject as a case; masks are named by their files, so that a label map has nothing to say."""
    meta = root / "meta.csv"
    cases, notes = [], []
    for subject in _subjects(root):
        case, left = _case(subject)
        cases.append(case)
        notes += left
    return Found(tuple(cases), read_meta(meta) if meta.is_file() else None, tuple(notes))


def _subjects(root: Path) -> list[Path]:
    if (root / MASK_FOLDER).is_dir():
        return [root]
    return [folder for folder in sorted(root.iterdir()) if folder.is_dir() and (folder / MASK_FOLDER).is_dir()]


def _case(subject: Path) -> tuple[CaseSource | Rejected, list[str]]:
    files = [path for path in sorted(subject.iterdir()) if path.is_file()]
    scans = [found for file in files for found in find_scans(file) if isinstance(found, ScanSource)]
    try:
        labels = masks(subject / MASK_FOLDER)
        scan = _scan_of(scans, labels)
    except OsteonError as error:
        return Rejected(error.where, error.code, error.what), []
    if scan is None:
        return Rejected(str(subject), "no-scan", f"none, or several, of {len(scans)} volumes belong to the masks"), []
    left = [f"{other.files[0]}: passed over, the masks belong to {scan.name}" for other in scans if other != scan]
    return CaseSource(case_id_of(subject.name), scan, labels), left


def _scan_of(scans: list[ScanSource], labels: LabelSource | None) -> ScanSource | None:
    named = [scan for scan in scans if volume_stem(Path(scan.files[0])) == "ct"]
    if named or labels is None:
        return named[0] if len(named) == 1 else None
    fitting = [scan for scan in scans if not looks_like_labels(scan) and lie_on_one_grid(scan, labels)]
    return fitting[0] if len(fitting) == 1 else None
