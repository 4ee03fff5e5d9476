"""Makes a case of written rows: small arrays, metadata, and the root document put last and only once."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from osteon.core.errors import BadInput, StoreError
from osteon.core.volume import Foreground
from osteon.storage import ome
from osteon.storage.claims import Claim, other_source
from osteon.storage.contents import Contents, contents_layout
from osteon.storage.histogram import merge_histograms
from osteon.storage.layout import LABELS_GROUP, Json
from osteon.storage.manifest import (
    ROOT_KEY,
    SCHEMA_VERSION,
    GridRecord,
    Manifest,
    ProvenanceRecord,
    RootDocument,
    StoredObject,
)
from osteon.storage.plan import CasePlan
from osteon.storage.provenance import Provenance
from osteon.storage.rows import NUM_UPLOADS, RowReceipt, put_array
from osteon.storage.sample import coordinates, merge_samples
from osteon.storage.stores import Store
from osteon.storage.zones import merge_zones

Nodes = dict[str, Json]


def commit_rows(plan: CasePlan, receipts: Sequence[RowReceipt], provenance: Provenance) -> bool:
    """Put everything but the shards; returns and raises as `CaseWriter.commit` says."""
    rows = _complete(plan, receipts)
    contents = _contents(plan, rows)
    tables = contents.arrays(plan.has_labels)
    table_layouts = [contents_layout(path, array) for path, array in tables.items()]
    layouts = [*plan.image_layouts(), *plan.labels_layouts(), *table_layouts]
    nodes = {each.path: each.metadata() for each in layouts} | _groups(plan)
    objects = {key: stored for row in rows for key, stored in row.objects.items()}
    for layout in table_layouts:
        objects |= put_array(plan, layout, tables[layout.path])
    objects |= _put_documents(plan, nodes)
    manifest = _manifest(plan, contents, objects, provenance)
    attribute = ome.image_attribute(plan.case_id, plan.grid, plan.num_levels)
    return _put_root(plan, RootDocument(attribute, manifest, nodes))


def read_root(store: Store, prefix: str) -> RootDocument | None:
    """The root document of a committed case, or None.

    Raises:
        CorruptData: ``damaged-manifest``.
    """
    try:
        data = store.read_bytes(f"{prefix}/{ROOT_KEY}")
    except FileNotFoundError:
        return None
    return RootDocument.from_bytes(data, f"{store.url}/{prefix}")


def _complete(plan: CasePlan, receipts: Sequence[RowReceipt]) -> list[RowReceipt]:
    rows = {receipt.row: receipt for receipt in receipts}
    if sorted(rows) != list(range(plan.num_rows)):
        raise BadInput("missing-rows", f"only rows {sorted(rows)} of {plan.num_rows} are written", where=plan.case_id)
    return [rows[row] for row in range(plan.num_rows)]


def _contents(plan: CasePlan, rows: Sequence[RowReceipt]) -> Contents:
    zones, counts = merge_zones([row.zones for row in rows])
    sample = merge_samples([row.sample for row in rows])
    drawn = {label: coordinates(voxels, plan.grid.shape) for label, voxels in sample.items()}
    return Contents(zones, Foreground(counts, drawn), merge_histograms([row.histograms for row in rows]))


def _groups(plan: CasePlan) -> Nodes:
    """The documents of the groups below the root."""
    groups = {"zones": ome.group_document({})}
    if plan.has_labels:
        bones = ome.labels_attribute(plan.grid, plan.num_levels, plan.table)
        groups["labels"] = ome.group_document({"ome": ome.label_list_attribute()})
        groups[LABELS_GROUP] = ome.group_document({"ome": bones})
    return groups


def _put_documents(plan: CasePlan, nodes: Nodes) -> dict[str, StoredObject]:
    documents = {f"{path}/{ROOT_KEY}": metadata for path, metadata in nodes.items()}
    encoded = {key: json.dumps(document, indent=1).encode() for key, document in documents.items()}
    with ThreadPoolExecutor(NUM_UPLOADS) as uploads:
        keys = [f"{plan.prefix}/{key}" for key in encoded]
        list(uploads.map(plan.store.write_bytes, keys, encoded.values()))
    return {key: StoredObject.of(data) for key, data in encoded.items()}


def _manifest(plan: CasePlan, contents: Contents, objects: dict[str, StoredObject], provenance: Provenance) -> Manifest:
    return Manifest(
        schema_version=SCHEMA_VERSION,
        writer=f"osteon {version('osteon')}",
        write_id=uuid.uuid4().hex,
        case_id=plan.case_id,
        grid=GridRecord.of(plan.grid),
        num_levels=plan.num_levels,
        has_labels=plan.has_labels,
        label_names=plan.table.names,
        label_counts=contents.foreground.counts,
        provenance=ProvenanceRecord.of(provenance),
        objects={key: objects[key] for key in sorted(objects)},
    )


def _put_root(plan: CasePlan, root: RootDocument) -> bool:
    """The commit. Whatever the store answers, who won is read back: an answer can get lost, and then lie."""
    failure: StoreError | None = None
    try:
        plan.store.create_bytes(f"{plan.prefix}/{ROOT_KEY}", root.to_bytes())
    except StoreError as error:
        failure = error
    winner = read_root(plan.store, plan.prefix)
    if winner is None:
        raise failure or StoreError("commit-lost", "the commit was accepted and is not there", where=plan.case_id)
    if winner.manifest.write_id == root.manifest.write_id:
        return True
    if not _claim(winner).matches(_claim(root)):
        raise other_source(plan.prefix)
    return False


def _claim(root: RootDocument) -> Claim:
    return Claim.of(root.manifest.provenance.provenance)
