"""Where labels to synthesise from come from: label files, or the cases of a dataset. Knows no scan."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, canonical_name, table_for
from osteon.core.volume import Array
from osteon.storage.dataset import Dataset
from osteon.storage.importers.bare_labels import find_bare_labels, full_table
from osteon.storage.plan import CASES
from osteon.storage.readers import LabelSource, labels_digest, read_labels_alone


class LabelVolume(NamedTuple):
    """One labelled body.

    Attributes:
        ids: of the table, z, y, x, LPS order.
        grid: where they lie.
        table: every structure that may be in it, soft tissue included.
    """

    ids: Array
    grid: Grid
    table: LabelTable

    def merged(self, merges: Mapping[str, str]) -> LabelVolume:
        """The body with some structures counted as parts of others (from name, into name)."""
        names = {id_: merges.get(name, name) for id_, name in self.table.names.items()}
        table = table_for(names.values())
        lookup = np.zeros(self.table.labels[-1].id + 1, dtype=table.dtype)
        for id_, name in names.items():
            lookup[id_] = table.ids[name]
        return LabelVolume(lookup[self.ids], self.grid, table)


class BodySource(Protocol):
    """One labelled body that was found but not yet read; picklable."""

    def __hash__(self) -> int: ...

    @property
    def table(self) -> LabelTable:
        """Every structure that its source names."""
        ...

    def digest(self) -> str:
        """SHA-256 that follows from its voxels and names."""
        ...

    def read(self) -> LabelVolume:
        """Read it whole."""
        ...


@dataclass(frozen=True)
class LabelFiles:
    """A label map, or a folder of masks."""

    source: LabelSource

    @property
    def table(self) -> LabelTable:
        """Every structure that is named."""
        return full_table([self.source])

    def digest(self) -> str:
        """Of the files and names."""
        return labels_digest(self.source)

    def read(self) -> LabelVolume:
        """Decode and merge the files.

        Raises:
            BadScan: as `read_labels_alone`.
        """
        with tempfile.TemporaryDirectory(prefix="osteon-labels-") as scratch:
            scan = read_labels_alone(self.source, self.table, scratch=Path(scratch))
            return LabelVolume(scan.read(), scan.grid, self.table)


@dataclass(frozen=True)
class DatasetLabels:
    """The labels of a dataset's case."""

    dataset: Dataset
    case_id: str

    @property
    def table(self) -> LabelTable:
        """The dataset's labels."""
        return self.dataset.table

    def digest(self) -> str:
        """Of the labels' source, as the case keeps it."""
        kept = self.dataset.case(self.case_id).provenance
        return f"{kept.source_digest}/{kept.labels_digest}"

    def read(self) -> LabelVolume:
        """Read level 0.

        Raises:
            CorruptData: the case is damaged.
        """
        volume = self.dataset.case(self.case_id).labels()
        return LabelVolume(volume.read((0, 0, 0), volume.grid.shape).result(), volume.grid, self.table)


def find_bodies(labels: str, labels_map: Path | None = None) -> tuple[BodySource, ...]:
    """Every labelled body of a dataset (folder or URL), a label file or a folder of label files.

    Raises:
        BadInput: ``no-labels`` for a dataset without labels, and as `Dataset.open` and `find_bare_labels`.
    """
    if "://" in labels or Path(labels, CASES).is_dir():
        dataset = Dataset.open(labels)
        labelled = [row.case_id for row in dataset.catalog() if row.has_labels]
        if not labelled:
            raise BadInput("no-labels", "no case of the dataset has labels", where=labels)
        return tuple(DatasetLabels(dataset, case_id) for case_id in labelled)
    return tuple(LabelFiles(source) for source in find_bare_labels(Path(labels), labels_map))


def parse_merges(text: str) -> dict[str, str]:
    """``vertebrae_S1=sacrum,coccyx=sacrum`` as a mapping.

    Raises:
        BadInput: ``bad-merge``.
    """
    pairs = [part.split("=") for part in text.split(",") if part.strip()]
    if any(len(pair) != 2 or not all(name.strip() for name in pair) for pair in pairs):
        raise BadInput("bad-merge", f"{text!r} says not what becomes what", remedy="write vertebrae_S1=sacrum")
    return {canonical_name(source): canonical_name(target) for source, target in pairs}
