"""Reads CT scans and labels as hospitals and public datasets keep them, and refuses what would become a wrong case."""

from osteon.storage.readers.find import find_scans, volume_stem, volume_suffix
from osteon.storage.readers.labels import (
    LabelName,
    LabelScan,
    LabelSource,
    labels_digest,
    read_labels,
    read_labels_alone,
)
from osteon.storage.readers.open import open_scan, read_geometry, read_raster, source_digest
from osteon.storage.readers.scan import Scan
from osteon.storage.readers.source import Finding, Rejected, ScanSource

__all__ = [
    "Finding",
    "LabelName",
    "LabelScan",
    "LabelSource",
    "Rejected",
    "Scan",
    "ScanSource",
    "find_scans",
    "labels_digest",
    "open_scan",
    "read_geometry",
    "read_labels",
    "read_labels_alone",
    "read_raster",
    "source_digest",
    "volume_stem",
    "volume_suffix",
]
