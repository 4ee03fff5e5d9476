"""Layout ``scans``: any folder. Every volume found is a case; its labels are looked for beside it.

Labels of ``X.nii.gz`` are ``X_label(s)…``, ``X_seg…``, ``X-seg…``, ``X.seg.nrrd`` in the same folder. A scan that is
alone in its folder (or, as DICOM, in a folder of its own) also takes ``labels.*`` or ``segmentations/`` from there.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osteon.core.errors import BadInput, OsteonError
from osteon.storage.importers import names as label_names
from osteon.storage.importers.plan import CaseSource, Found, case_id_of
from osteon.storage.readers import (
    LabelSource,
    Rejected,
    ScanSource,
    find_scans,
    read_geometry,
    read_raster,
    volume_stem,
    volume_suffix,
)

MASK_FOLDER = "segmentations"
_LABEL_WORD = re.compile(r"(^|[^a-z])(labels?|labelmap|seg|segmentations?|mask|msk|gt)([^a-z]|$)", re.IGNORECASE)
_OF_STEM = r"[_.-](labels?|labelmap|seg|segmentations?|mask|msk)([^a-z].*)?"
_ALONE = ("labels", "label", "segmentation", "seg", "labels.seg", "segmentation.seg")


def plan(root: Path, names: Mapping[int, str] | None) -> Found:
    """Every volume below ``root`` as a case. ``names`` overrides the label maps found."""
    findings = find_scans(root, skip_folders=(MASK_FOLDER,))
    scans = {f: None for f in findings if isinstance(f, ScanSource) and (root.is_file() or not looks_like_labels(f))}
    search = _Search(root, Counter(home for scan in scans for home in _homes(scan)), names)
    cases = tuple(search.case(f) for f in findings if isinstance(f, ScanSource) and f in scans)
    rejected = tuple(f for f in findings if isinstance(f, Rejected))
    used = {file for case in cases if isinstance(case, CaseSource) and case.labels for file in case.labels.files}
    left = [f.files[0] for f in findings if isinstance(f, ScanSource) and f not in scans and f.files[0] not in used]
    return Found(cases + rejected, notes=tuple(f"{file}: looks like labels, but of no scan here" for file in left))


def looks_like_labels(scan: ScanSource) -> bool:
    """Whether a file's name says that it holds labels."""
    return scan.format != "dicom" and _LABEL_WORD.search(volume_stem(Path(scan.files[0]))) is not None


def _homes(scan: ScanSource) -> list[Path]:
    """Where a scan's labels may lie: in its folder; beside that, too, if DICOM files fill it."""
    folder = Path(scan.files[0]).parent
    return [folder, folder.parent] if scan.format == "dicom" else [folder]


@dataclass(frozen=True)
class _Search:
    """Looks for the labels of scans.

    Attributes:
        root: nothing outside of it is looked at.
        homes: how many scans may have their labels in a folder.
        names: the label map that overrides those found.
    """

    root: Path
    homes: Counter[Path]
    names: Mapping[int, str] | None

    def case(self, scan: ScanSource) -> CaseSource | Rejected:
        """The scan as a case with its labels, if it has any."""
        try:
            for home in _homes(scan):
                labels = self._labels_in(home, scan)
                if labels is not None:
                    is_alone = self.homes[home] == 1 and self.root.is_dir()
                    return CaseSource(case_id_of(home.name) if is_alone else None, scan, labels)
        except OsteonError as error:
            return Rejected(error.where, error.code, f"{error.what}; {error.remedy}".rstrip("; "))
        return CaseSource(None, scan, None)

    def _labels_in(self, home: Path, scan: ScanSource) -> LabelSource | None:
        if home != self.root and self.root not in home.parents and home != self.root.parent:
            return None
        if self.root.is_dir() and home == self.root.parent:
            return None
        file = self._file_in(home, scan)
        if file is not None:
            return label_names.labelmap(file, label_names.names_near(file) if self.names is None else self.names)
        folder = home / MASK_FOLDER
        if self.root.is_dir() and folder.is_dir():
            masks = label_names.masks(folder)
            if masks is not None and (self.homes[home] == 1 or lie_on_one_grid(scan, masks)):
                return masks
        return None

    def _file_in(self, home: Path, scan: ScanSource) -> Path | None:
        """The label file of a scan: named after it, or, if the scan is alone, named labels or segmentation."""
        files = sorted(file for file in home.iterdir() if volume_suffix(file) and str(file) not in scan.files)
        own = []
        if scan.format != "dicom":
            pattern = re.escape(volume_stem(Path(scan.files[0]))) + _OF_STEM
            own = [file for file in files if re.fullmatch(pattern, volume_stem(file), re.IGNORECASE)]
        if not own and self.homes[home] == 1 and self.root.is_dir():
            own = [file for file in files if volume_stem(file).lower() in _ALONE]
        if len(own) > 1:
            what = f"{len(own)} files could hold its labels"
            raise BadInput("several-labels", what, where=scan.files[0], remedy="name one with --labels FILE")
        return own[0] if own else None


def lie_on_one_grid(scan: ScanSource, labels: LabelSource) -> bool:
    """Whether the headers of a scan's file and of its labels' first file place voxels at the same positions."""
    geometry, other = read_geometry(scan), read_raster(Path(labels.files[0])).geometry
    return geometry is not None and geometry.lies_as(other)
