"""Writes volumes and labels back to NIfTI, MetaImage and NRRD, voxel for voxel on the source's own grid."""

from osteon.storage.export.write import SUFFIXES, write_scan

__all__ = ["SUFFIXES", "write_scan"]
