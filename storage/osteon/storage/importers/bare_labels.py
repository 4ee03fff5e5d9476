"""Labels that come without a scan: a label file, a folder of masks, or a folder that holds several of either."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.core.labels import LabelTable, canonical_name, table_for
from osteon.storage.importers.names import labelmap, masks, names_near, read_names
from osteon.storage.importers.non_bones import NON_BONES
from osteon.storage.importers.scans import MASK_FOLDER
from osteon.storage.readers import LabelSource, volume_suffix


def find_bare_labels(path: Path, labels_map: Path | None = None) -> list[LabelSource]:
    """The label sources of a path, in order of their names.

    A file is a label map. In a folder, files are masks of one body, named after their structures, or label maps of
    many bodies if ``labels_map`` is given. Masks may lie in ``segmentations/``; those of many bodies, a folder deeper.

    Raises:
        BadInput: ``no-source``, ``no-label-names``, ``bad-json``, ``bad-label-map``.
        BadScan: what a label file's header is refused for.
    """
    if not path.exists():
        raise BadInput("no-source", "there is no such file or folder", where=str(path))
    if path.is_file() and not volume_suffix(path):
        raise BadInput("no-source", "this is no NIfTI, MetaImage or NRRD file", where=str(path))
    names = read_names(labels_map) if labels_map is not None else None
    if path.is_file():
        return [labelmap(path, names_near(path) if names is None else names)]
    if names is not None:
        sources = [labelmap(file, names) for file in sorted(path.iterdir()) if volume_suffix(file)]
    else:
        sources = _masks_of(path) or [found for folder in sorted(path.iterdir()) for found in _masks_of(folder)]
    if not sources:
        raise BadInput("no-source", "the folder holds no label files", where=str(path))
    return sources


def _masks_of(folder: Path) -> list[LabelSource]:
    """The masks of a body, in its folder or in ``segmentations/``; none for a file."""
    inner = folder / MASK_FOLDER
    found = masks(inner if inner.is_dir() else folder) if folder.is_dir() else None
    return [found] if found else []


def full_table(sources: Iterable[LabelSource]) -> LabelTable:
    """Every structure that the sources name, soft tissue included."""
    return table_for(canonical_name(entry.name) for source in sources for entry in source.names)


def bones_of(table: LabelTable) -> LabelTable:
    """The labels of a table that are no soft tissue."""
    return LabelTable(tuple(label for label in table.labels if label.name not in NON_BONES))
