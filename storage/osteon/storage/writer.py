"""Writes a case row by row from many processes, and commits it with one conditional PUT.

Each row may be written by another process, in any order, more than once: the same voxels give the same bytes.
What was written is no case before `commit` has put the root document; until then no reader sees anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadInput, CorruptData
from osteon.core.geometry import Grid, Reorientation
from osteon.core.labels import LabelTable
from osteon.core.volume import Array
from osteon.storage.catalog import CATALOG_KEY
from osteon.storage.claims import Claim, held_claim, other_source, put_claim, release_claim, take_claim
from osteon.storage.commit import commit_rows, read_root
from osteon.storage.dataset import Dataset
from osteon.storage.integrity import damages
from osteon.storage.manifest import ROOT_KEY, RootDocument
from osteon.storage.plan import CasePlan, case_prefix, check_case_id
from osteon.storage.provenance import Provenance
from osteon.storage.rows import RowReceipt, write_row
from osteon.storage.stores import Store, open_store

__all__ = ["CaseWriter", "Provenance", "RowReceipt", "write_case", "write_zarr"]


class CaseWriter(CasePlan):
    """Writes one case; frozen and picklable, used in many processes at once."""

    @classmethod
    def plan(
        cls,
        dataset_store: Store,
        case_id: str,
        grid: Grid,
        table: LabelTable,
        has_labels: bool,
        *,
        prefix: str | None = None,
    ) -> CaseWriter:
        """Plan a case at ``cases/<case_id>.zarr``, or at ``prefix``; nothing is written.

        Raises:
            BadInput: ``bad-case-id`` or ``empty-grid``.
        """
        check_case_id(case_id)
        if min(grid.shape) < 1:
            raise BadInput("empty-grid", f"a scan of {grid.shape} voxels cannot be stored", where=case_id)
        return cls(dataset_store, prefix or case_prefix(case_id), case_id, grid, table, has_labels)

    def begin(self, source_digest: str, *, labels_digest: str | None = None, replace: bool = False) -> bool:
        """Claim the case id for this source; False if the case is already committed from it.

        With ``replace`` a case of another source, or a damaged one, is removed first, and another source's claim is
        overruled.

        Raises:
            Conflict: ``other-source``: the id belongs to another source (or to other labels, if their digest is given).
        """
        claim = Claim(source_digest=source_digest, labels_digest=labels_digest)
        take_claim(self.store, self.prefix, claim, replace=replace)
        # Only now look for a commit: whoever commits from here on holds a claim too.
        committed = self._committed(damaged_is_absent=replace)
        if committed is None:
            if replace:
                self._clear(claim)
            return True
        same = claim.matches(Claim.of(committed.manifest.provenance.provenance))
        if same and not (replace and damages(self.store, self.prefix, committed)):
            release_claim(self.store, self.prefix)
            return False
        if not replace:
            release_claim(self.store, self.prefix)
            raise other_source(self.prefix)
        self._clear(claim)
        return True

    def write_row(self, row: int, image: npt.NDArray[np.int16], labels: Array | None) -> RowReceipt:
        """Encode and put every level's shards of a row.

        Args:
            row: 0 to ``num_rows`` - 1.
            image: HU int16, z, y, x, LPS: the slices of `row_range`, whole planes.
            labels: label ids of the same shape, or None for a case without labels.

        Raises:
            BadInput: ``row-shape`` or ``unknown-label-id``.
            StoreError: the store refuses, does not answer or is full.
        """
        return write_row(self, row, image, labels)

    def commit(self, receipts: Sequence[RowReceipt], provenance: Provenance) -> bool:
        """Put zones, samples and metadata, then the root document: from now on the case exists.

        Returns:
            Whether this call committed the case; False if another writer of the same source was first.

        Raises:
            BadInput: ``missing-rows``.
            Conflict: ``other-source``: somebody else claimed the id meanwhile, or committed another source.
        """
        claim, holder = Claim.of(provenance), held_claim(self.store, self.prefix)
        if holder is not None and not claim.matches(holder):
            raise other_source(self.prefix)
        won = commit_rows(self, receipts, provenance)
        release_claim(self.store, self.prefix)
        self.store.sweep(self.prefix)
        return won

    def _committed(self, *, damaged_is_absent: bool) -> RootDocument | None:
        try:
            return read_root(self.store, self.prefix)
        except CorruptData:
            if damaged_is_absent:
                return None
            raise

    def _clear(self, claim: Claim) -> None:
        """Remove what is in the case's folder: its root document first, so that no reader meets a half of it."""
        self.store.delete(f"{self.prefix}/{ROOT_KEY}")
        self.store.delete(CATALOG_KEY)
        self.store.delete(self.prefix)
        put_claim(self.store, self.prefix, claim)


def write_case(
    dataset: Dataset,
    case_id: str,
    image: npt.NDArray[np.int16],
    labels: Array | None,
    grid: Grid,
    provenance: Provenance | None = None,
    *,
    replace: bool = False,
) -> None:
    """Write a whole case that is in memory; a case committed from the same voxels is left as it is.

    Args:
        dataset: where to.
        case_id: its id.
        image: HU int16, z, y, x, LPS.
        labels: label ids of the same shape, or None.
        grid: the voxels' grid.
        provenance: where they came from; by default the arrays themselves, with their digests.
        replace: whether a case of another source may be replaced.

    Raises:
        BadInput, Conflict, StoreError: as `CaseWriter`.
    """
    writer = CaseWriter.plan(dataset.store, case_id, grid, dataset.table, labels is not None)
    _write_whole(writer, image, labels, provenance or provenance_of(image, labels, grid), replace=replace)


def write_zarr(
    url: str,
    image: npt.NDArray[np.int16],
    labels: Array | None,
    grid: Grid,
    table: LabelTable,
    provenance: Provenance | None = None,
) -> None:
    """Write a case on its own, outside any dataset, at ``url`` (…/name.zarr), replacing what is there.

    Raises:
        BadInput, StoreError: as `CaseWriter`.
    """
    parent, name = open_store(url).parent_and_name
    case_id = name.removesuffix(".zarr")
    writer = CaseWriter.plan(parent, case_id, grid, table, labels is not None, prefix=name)
    _write_whole(writer, image, labels, provenance or provenance_of(image, labels, grid), replace=True)


def provenance_of(image: Array, labels: Array | None, grid: Grid) -> Provenance:
    """The provenance of voxels that come from memory."""
    return Provenance("array", _digest(image), grid, Reorientation(), labels_digest=_digest(labels))


def _write_whole(
    writer: CaseWriter, image: npt.NDArray[np.int16], labels: Array | None, provenance: Provenance, *, replace: bool
) -> None:
    if image.shape != writer.grid.shape:
        raise BadInput("row-shape", f"the image is {image.shape}, its grid {writer.grid.shape}", where=writer.case_id)
    if not writer.begin(provenance.source_digest, labels_digest=provenance.labels_digest, replace=replace):
        return
    receipts = []
    for row in range(writer.num_rows):
        z0, z1 = writer.row_range(row)
        receipts.append(writer.write_row(row, image[z0:z1], None if labels is None else labels[z0:z1]))
    writer.commit(receipts, provenance)


def _digest(array: Array | None) -> str:
    return "" if array is None else hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
