"""Reads CT scans and labels as hospitals and public datasets keep them, and refuses what would become a wrong case."""

from osteon.storage.readers.find import find_scans, volume_stem, volume_suffix
from osteon.storage.readers.open import open_scan, read_geometry
from osteon.storage.readers.scan import Scan
from osteon.storage.readers.source import Finding, Rejected, ScanSource

__all__ = [
    "Finding",
    "Rejected",
    "Scan",
    "ScanSource",
    "find_scans",
    "open_scan",
    "read_geometry",
    "volume_stem",
    "volume_suffix",
]
