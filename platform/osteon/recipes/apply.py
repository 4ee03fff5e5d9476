"""A model applied to a scan, wherever the scan lies: what the command line and the service have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osteon.core.errors import BadInput, BadScan
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.core.volume import Array, Labels, Volume, Zones
from osteon.data.prepare import Guide, PrepareSpec
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.prepared import must_prepare, segment_prepared
from osteon.inference.segmenter import Segmenter
from osteon.storage.case import StoredCase, open_case
from osteon.storage.provenance import Provenance
from osteon.storage.readers import Rejected, ScanSource, find_scans, open_scan


@dataclass(frozen=True)
class OpenedScan:
    """What is segmented.

    Attributes:
        image: HU, level 0.
        levels: the stored pyramid, level 0 first; empty if there is none.
        zones: the zone map of level 0.
        provenance: where the scan comes from.
        guide: labels that show the bones, for models of prepared scans; None if there are none.
    """

    image: Volume
    levels: Sequence[Volume]
    zones: Zones
    provenance: Provenance
    guide: Guide | None = None


def read_scan(path: Path, scratch: Path) -> OpenedScan:
    """The one scan of a file or a DICOM folder, in memory; compressed files are inflated into ``scratch``.

    Raises:
        BadInput: ``several-scans``, ``no-scan``.
        BadScan: what the table of bad scans refuses.
    """
    scan = open_scan(the_scan(path), scratch=scratch)
    hu = scan.read()
    return OpenedScan(InMemoryVolume(hu, scan.grid), (), zones_of(hu), scan.provenance)


def the_scan(path: Path) -> ScanSource:
    """The one scan of a file or a DICOM folder.

    Raises:
        BadInput: ``several-scans``, ``no-scan``.
        BadScan: what the table of bad scans refuses.
    """
    findings = find_scans(path)
    sources = [finding for finding in findings if isinstance(finding, ScanSource)]
    if len(sources) > 1:
        names = ", ".join(source.name for source in sources[:5])
        remedy = "name one of them, or ingest the folder into a dataset"
        raise BadInput("several-scans", f"{len(sources)} scans: {names}", where=str(path), remedy=remedy)
    if not sources:
        for finding in findings:
            if isinstance(finding, Rejected):
                raise BadScan(finding.code, finding.reason, where=finding.where)
        raise BadInput("no-scan", "no scan is found there", where=str(path), remedy="give DICOM, NIfTI, MHA or NRRD")
    return sources[0]


def stored_scan(url: str) -> OpenedScan:
    """The stored case at a URL."""
    return scan_of(open_case(url))


def scan_of(case: StoredCase) -> OpenedScan:
    """A stored case, its labels as a guide."""
    levels = [case.image(level) for level in range(case.num_levels)]
    return OpenedScan(levels[0], levels, case.zones, case.provenance, guide_of(case) if case.has_labels else None)


def guide_of(case: StoredCase) -> Guide:
    """The labels of a stored case, to show where its bones are."""
    return Guide([case.labels(level) for level in range(case.num_levels)], case.table)


def segment_scan(
    segmenter: Segmenter,
    spec: PrepareSpec,
    scan: OpenedScan,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Labels, LabelTable]:
    """Label ids of every voxel of a scan, z, y, x, and their names; the scan is prepared first if the spec says so.

    Raises:
        BadInput: as `must_prepare` and `segment_prepared`.
    """
    if must_prepare(spec, scan.provenance.derivation):
        return segment_prepared(segmenter, scan.levels or (scan.image,), spec, scan.guide, on_progress)
    return segmenter.segment(scan.image, scan.zones, on_progress, levels=scan.levels), segmenter.table


def volumes_ml(labels: Array, table: LabelTable, grid: Grid) -> dict[str, float]:
    """Millilitres by bone, of the bones that were found."""
    voxels = np.bincount(labels.ravel(), minlength=table.labels[-1].id + 1)
    voxel_ml = float(np.prod(grid.spacing_mm)) / 1000
    return {name: round(float(voxels[id_]) * voxel_ml, 3) for id_, name in table.names.items() if voxels[id_]}
