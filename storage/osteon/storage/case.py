"""A committed case, read: volumes by level, zone map, foreground sample, and the manifest that vouches for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np
import tensorstore as ts

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3
from osteon.core.labels import LabelTable
from osteon.core.volume import Array, Foreground, Zones
from osteon.storage.contents import CLASSES, FOREGROUND, HISTOGRAMS, HU_MAX, HU_MIN, foreground_of, zones_of
from osteon.storage.engine import PendingBlock, open_array
from osteon.storage.histogram import Histograms
from osteon.storage.layout import LABELS_GROUP, Json
from osteon.storage.manifest import ROOT_KEY, Manifest, RootDocument
from osteon.storage.provenance import Provenance
from osteon.storage.stores import Store, open_store

Value = TypeVar("Value")


@dataclass(frozen=True)
class StoredVolume:
    """One array of a committed case, read block by block. Frozen and picklable; opened on first use.

    Attributes:
        store: the case's.
        case_id: for errors.
        path: the array's path in the case.
        metadata: the array's zarr metadata.
        grid: where its voxels lie.
    """

    store: Store
    case_id: str
    path: str
    metadata: Json
    grid: Grid

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The voxel type."""
        return np.dtype(str(self.metadata["data_type"]))

    def read(self, start: Index3, shape: Index3) -> PendingBlock:
        """Begin to read the block (z, y, x) of ``shape`` at ``start``; call ``result()`` for its voxels.

        Raises:
            IndexError: the block does not lie inside the grid.
        """
        if any(a < 0 or n < 1 or a + n > side for a, n, side in zip(start, shape, self.grid.shape, strict=True)):
            raise IndexError(f"block {shape} at {start} is not inside {self.grid.shape} of {self.case_id}/{self.path}")
        (z, y, x), (depth, height, width) = start, shape
        future = self._handle[z : z + depth, y : y + height, x : x + width].read()
        return PendingBlock(future, self.case_id, self.path)

    @property
    def _handle(self) -> ts.TensorStore:
        return _once(self, "_handle_", lambda: open_array(self.store, self.path, self.metadata))

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_handle_"}


@dataclass(frozen=True)
class StoredCase:
    """A committed case; satisfies `osteon.core.volume.TrainingCase`. Frozen and picklable.

    Attributes:
        store: the case's own.
        root: its root document.
    """

    store: Store
    root: RootDocument

    @property
    def manifest(self) -> Manifest:
        """Sizes and digests of everything, and what the case says of itself."""
        return self.root.manifest

    @property
    def case_id(self) -> str:
        """The id, unique in its dataset."""
        return self.manifest.case_id

    @cached_property
    def grid(self) -> Grid:
        """Level 0's grid, LPS."""
        return self.manifest.grid.grid

    @property
    def num_levels(self) -> int:
        """Pyramid levels, level 0 included."""
        return self.manifest.num_levels

    @property
    def has_labels(self) -> bool:
        """Whether the case has a label array."""
        return self.manifest.has_labels

    @cached_property
    def table(self) -> LabelTable:
        """The labels the case may hold."""
        return self.manifest.table

    @cached_property
    def provenance(self) -> Provenance:
        """Where the case came from."""
        return self.manifest.provenance.provenance

    def image(self, level: int = 0) -> StoredVolume:
        """HU int16 at a pyramid level."""
        return self._volume(str(level), level)

    def labels(self, level: int = 0) -> StoredVolume:
        """Label ids at a pyramid level.

        Raises:
            BadInput: ``no-labels``.
        """
        if not self.has_labels:
            raise BadInput("no-labels", "this case has no labels", where=f"case {self.case_id}")
        return self._volume(f"{LABELS_GROUP}/{level}", level)

    @property
    def zones(self) -> Zones:
        """The zone map."""
        return _once(self, "_zones_", self._read_zones)

    @property
    def foreground(self) -> Foreground:
        """Label counts and drawn voxels; empty for a case without labels."""
        return _once(self, "_foreground_", self._read_foreground)

    def histograms(self) -> Histograms:
        """HU counts (2, bins): a regular sample of the whole, and every labelled voxel."""
        return self._table(HISTOGRAMS).astype(np.int64)

    @cached_property
    def _volumes(self) -> dict[str, StoredVolume]:
        return {}

    def _volume(self, path: str, level: int) -> StoredVolume:
        if not 0 <= level < self.num_levels:
            raise IndexError(f"level {level} of {self.num_levels} of case {self.case_id}")
        if path not in self._volumes:
            metadata = self.root.nodes[path]
            self._volumes[path] = StoredVolume(self.store, self.case_id, path, metadata, self.grid.pooled(level))
        return self._volumes[path]

    def _read_zones(self) -> Zones:
        classes = self._table(CLASSES) if self.has_labels else None
        return zones_of(self._table(HU_MIN), self._table(HU_MAX), classes)

    def _read_foreground(self) -> Foreground:
        if not self.has_labels:
            return Foreground({}, {})
        return foreground_of(self._table(FOREGROUND), self.manifest.label_counts)

    def _table(self, path: str) -> Array:
        handle = open_array(self.store, path, self.root.nodes[path])
        return PendingBlock(handle.read(), self.case_id, path).result()

    def __getstate__(self) -> dict[str, object]:
        return {"store": self.store, "root": self.root}


def _once(owner: object, name: str, make: Callable[[], Value]) -> Value:
    """What ``make`` gives, kept with ``owner`` under ``name``.

    Not `functools.cached_property`: up to Python 3.11 it holds one lock for all instances, so that many cases would be
    opened one after the other. Two threads may make the same value twice; one is kept.
    """
    kept: dict[str, Value] = owner.__dict__
    if name not in kept:
        kept[name] = make()
    return kept[name]


def open_case(url_or_store: str | Store) -> StoredCase:
    """Open a committed case by the URL of its folder.

    Raises:
        BadInput: ``no-case``: nothing is committed there.
        CorruptData: ``damaged-manifest``.
    """
    store = open_store(url_or_store) if isinstance(url_or_store, str) else url_or_store
    try:
        root = RootDocument.from_bytes(store.read_bytes(ROOT_KEY), store.url)
    except FileNotFoundError:
        raise BadInput(
            "no-case", "there is no committed case", where=store.url, remedy="ingest it, or mend the URL"
        ) from None
    return StoredCase(store, root)
