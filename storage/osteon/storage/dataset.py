"""A dataset: committed cases under one URL, their label table, catalog and fingerprint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.errors import BadInput, CorruptData
from osteon.core.labels import LabelTable
from osteon.storage.case import StoredCase, open_case
from osteon.storage.catalog import CatalogRow, read_catalog, write_catalog
from osteon.storage.fingerprint import Fingerprint, fingerprint
from osteon.storage.histogram import NUM_BINS, merge_histograms
from osteon.storage.plan import CASES, case_prefix
from osteon.storage.stores import Store, open_store

DATASET_KEY = "dataset.json"
SCHEMA_VERSION = 1
NUM_READERS = 16  # cases opened at once; the time goes into waiting for the store


class DatasetRecord(BaseModel):
    """``dataset.json``.

    Attributes:
        schema_version: of this layout.
        name: the dataset's name.
        labels: name by label id.
        fingerprint: as of the last refresh.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int
    name: str
    labels: dict[int, str]
    fingerprint: Fingerprint | None = None


@dataclass(frozen=True)
class Dataset:
    """Cases under one URL. Frozen and picklable; what is committed later is seen.

    Attributes:
        store: the dataset's.
        name: its name.
        table: the labels its cases may hold, as they were when it was opened.
    """

    store: Store
    name: str
    table: LabelTable

    @property
    def url(self) -> str:
        """Where it is."""
        return self.store.url

    @classmethod
    def create(cls, url: str, name: str, table: LabelTable) -> Dataset:
        """Make a dataset, or open it and add the table's labels to its own.

        Raises:
            BadInput: ``label-conflict``: an id or a name is taken by another.
        """
        store = open_store(url)
        record = DatasetRecord(schema_version=SCHEMA_VERSION, name=name, labels=table.names)
        if not store.create_bytes(DATASET_KEY, _encoded(record)):
            present = _read_record(store)
            merged = merge_tables([LabelTable.of(present.labels), table], store.url)
            record = present.model_copy(update={"labels": merged.names})
            if record != present:
                store.write_bytes(DATASET_KEY, _encoded(record))
        return cls(store, record.name, LabelTable.of(record.labels))

    @classmethod
    def open(cls, url: str) -> Dataset:
        """Open a dataset.

        Raises:
            BadInput: ``no-dataset``.
        """
        store = open_store(url)
        record = _read_record(store)
        return cls(store, record.name, LabelTable.of(record.labels))

    def case_ids(self) -> list[str]:
        """The committed cases, sorted."""
        return [row.case_id for row in self.catalog()]

    def case(self, case_id: str) -> StoredCase:
        """Open a case.

        Raises:
            BadInput: ``no-case`` or ``bad-case-id``.
            CorruptData: ``damaged-manifest``.
        """
        return open_case(self.store.child(*case_prefix(case_id).split("/")))

    def catalog(self) -> list[CatalogRow]:
        """One row per committed case, sorted; cases committed since the last refresh are opened for theirs."""
        known = {row.case_id: row for row in read_catalog(self.store) or []}
        present = self.folders()
        new = [case.manifest for case in self._open_committed(set(present) - set(known))]
        rows = [known[case_id] for case_id in present if case_id in known] + [CatalogRow.of(each) for each in new]
        return sorted(rows, key=lambda row: row.case_id)

    def fingerprint(self) -> Fingerprint:
        """The dataset in a few numbers, as of the last refresh; made now if there was none."""
        return _read_record(self.store).fingerprint or _survey(self._open_committed(self.folders()))

    def refresh(self) -> None:
        """Rebuild the catalog, the label table and the fingerprint from the committed cases.

        Raises:
            CorruptData: a case's manifest or histograms are damaged.
        """
        self.index(self._open_committed(self.folders()))

    def index(self, cases: Sequence[StoredCase]) -> None:
        """Write catalog, label table and fingerprint of these cases."""
        record = _read_record(self.store)
        labels = merge_tables([LabelTable.of(record.labels), *(case.table for case in cases)], self.url)
        update = {"labels": labels.names, "fingerprint": _survey(cases)}
        write_catalog(self.store, [CatalogRow.of(case.manifest) for case in cases])
        self.store.write_bytes(DATASET_KEY, _encoded(record.model_copy(update=update)))

    def folders(self) -> list[str]:
        """Ids of all cases, committed or not."""
        names = self.store.list_children(CASES)
        return [name.removesuffix(".zarr") for name in names if name.endswith(".zarr")]

    def _open_committed(self, case_ids: Iterable[str]) -> list[StoredCase]:
        with ThreadPoolExecutor(NUM_READERS) as pool:
            found = pool.map(self._open_if_committed, sorted(case_ids))
            return list(chain.from_iterable(found))

    def _open_if_committed(self, case_id: str) -> list[StoredCase]:
        try:
            return [self.case(case_id)]
        except BadInput:
            return []


def merge_tables(tables: Iterable[LabelTable], where: str) -> LabelTable:
    """The labels of all tables.

    Raises:
        BadInput: ``label-conflict``: one id with two names, or one name with two ids.
    """
    names: dict[int, str] = {}
    for label in chain.from_iterable(table.labels for table in tables):
        taken = names.setdefault(label.id, label.name)
        if taken != label.name or [id_ for id_, name in names.items() if name == label.name] != [label.id]:
            raise BadInput(
                "label-conflict",
                f"label {label.id} {label.name!r} clashes with the dataset's labels",
                where=where,
                remedy="name it otherwise in the labels map, or use another dataset",
            )
    return LabelTable.of(names)


def _survey(cases: Sequence[StoredCase]) -> Fingerprint:
    with ThreadPoolExecutor(NUM_READERS) as pool:
        histograms = list(pool.map(StoredCase.histograms, cases))
    merged = merge_histograms([np.zeros((2, NUM_BINS), dtype=np.int64), *histograms])
    return fingerprint([CatalogRow.of(case.manifest) for case in cases], merged)


def _read_record(store: Store) -> DatasetRecord:
    try:
        return DatasetRecord.model_validate_json(store.read_bytes(DATASET_KEY))
    except FileNotFoundError:
        raise BadInput(
            "no-dataset",
            f"there is no dataset ({DATASET_KEY} is missing)",
            where=store.url,
            remedy="make one with `osteon ingest`, or mend the URL",
        ) from None
    except ValidationError as error:
        raise CorruptData(
            "damaged-dataset",
            f"{DATASET_KEY} is not what was written: {error.errors()[0]['msg']}",
            where=store.url,
            remedy="restore it, or ingest into a new dataset",
        ) from error


def _encoded(record: DatasetRecord) -> bytes:
    return record.model_dump_json(indent=1).encode()
