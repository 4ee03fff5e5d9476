"""The catalog: one Parquet row per committed case, so that a dataset is surveyed without opening its cases.

It is only an index: it can be rebuilt from the cases at any time, and a missing one costs a listing.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import TypeAdapter, ValidationError

from osteon.core.errors import CorruptData
from osteon.core.geometry import Index3, Vector3
from osteon.storage.manifest import Manifest
from osteon.storage.stores import Store

CATALOG_KEY = "catalog.parquet"

_SCHEMA = pa.schema(
    [
        ("case_id", pa.string()),
        ("shape", pa.list_(pa.int64(), 3)),
        ("spacing_mm", pa.list_(pa.float64(), 3)),
        ("labels", pa.list_(pa.int32())),
        ("has_labels", pa.bool_()),
        ("num_levels", pa.int32()),
        ("source_format", pa.string()),
        ("source_digest", pa.string()),
        ("labels_digest", pa.string()),
        ("num_bytes", pa.int64()),
        ("write_id", pa.string()),
    ]
)


@dataclass(frozen=True)
class CatalogRow:
    """One committed case.

    Attributes:
        case_id: the case's id.
        shape: level-0 voxels, z, y, x.
        spacing_mm: level-0 spacing, z, y, x.
        labels: ids of the labels present, ascending.
        has_labels: whether there is a label array, empty or not.
        num_levels: pyramid levels.
        source_format: what it was made from.
        source_digest: SHA-256 of the image's source.
        labels_digest: SHA-256 of the labels' source.
        num_bytes: stored bytes.
        write_id: of the commit; tells whether the row is of the case as it is now.
    """

    case_id: str
    shape: Index3
    spacing_mm: Vector3
    labels: tuple[int, ...]
    has_labels: bool
    num_levels: int
    source_format: str
    source_digest: str
    labels_digest: str
    num_bytes: int
    write_id: str

    @classmethod
    def of(cls, manifest: Manifest) -> CatalogRow:
        """The row of a case."""
        return cls(
            manifest.case_id,
            manifest.grid.shape,
            manifest.grid.spacing_mm,
            tuple(sorted(manifest.label_counts)),
            manifest.has_labels,
            manifest.num_levels,
            manifest.provenance.source_format,
            manifest.provenance.source_digest,
            manifest.provenance.labels_digest,
            manifest.num_bytes,
            manifest.write_id,
        )


def write_catalog(store: Store, rows: Sequence[CatalogRow]) -> None:
    """Replace the catalog."""
    buffer = io.BytesIO()
    ordered = sorted(rows, key=lambda row: row.case_id)
    pq.write_table(pa.Table.from_pylist([asdict(row) for row in ordered], schema=_SCHEMA), buffer)
    store.write_bytes(CATALOG_KEY, buffer.getvalue())


def read_catalog(store: Store) -> list[CatalogRow] | None:
    """The rows in order of case id; None if there is no catalog.

    Raises:
        CorruptData: ``damaged-catalog``.
    """
    try:
        data = store.read_bytes(CATALOG_KEY)
    except FileNotFoundError:
        return None
    try:
        return _ROWS.validate_python(pq.read_table(pa.BufferReader(data)).to_pylist())
    except (pa.ArrowException, OSError, ValidationError) as error:
        raise CorruptData(
            "damaged-catalog",
            f"the catalog cannot be read: {str(error).partition(chr(10))[0]}",
            where=f"{store.url}/{CATALOG_KEY}",
            remedy="rebuild it with `osteon verify --repair`",
        ) from error


_ROWS = TypeAdapter(list[CatalogRow])
