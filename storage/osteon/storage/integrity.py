"""Compares a case's objects with its manifest: what is lost, of another size, or not what was written."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from osteon.core.errors import CorruptData
from osteon.storage.engine import PendingBlock, open_array
from osteon.storage.layout import LABELS_GROUP, ArrayLayout, image_layout, labels_layout
from osteon.storage.manifest import Manifest, RootDocument, StoredObject
from osteon.storage.stores import Store

NUM_READERS = 4  # shards held in memory at once
NAMED_CHUNKS = 3  # of a shard that has more damage


@dataclass(frozen=True)
class Damage:
    """Something of a case that is not as its manifest says.

    Attributes:
        key: the object's, below the case.
        code: ``lost-object``, ``wrong-size`` or ``wrong-bytes``.
        detail: what was found.
    """

    key: str
    code: str
    detail: str


def damages(store: Store, prefix: str, root: RootDocument) -> list[Damage]:
    """Everything of a case that is lost or not what was written; every byte is read."""
    sizes = {key.removeprefix(f"{prefix}/"): size for key, size in store.sizes(prefix).items()}
    with ThreadPoolExecutor(NUM_READERS) as pool:
        found = pool.map(lambda key: _check(store, prefix, root, key, sizes.get(key)), root.manifest.objects)
        return [damage for damage in found if damage is not None]


def _check(store: Store, prefix: str, root: RootDocument, key: str, size: int | None) -> Damage | None:
    expected = root.manifest.objects[key]
    if size is None:
        return Damage(key, "lost-object", "it is missing")
    if size != expected.size:
        return Damage(key, "wrong-size", f"it has {size} bytes instead of {expected.size}")
    if StoredObject.of(store.read_bytes(f"{prefix}/{key}")) == expected:
        return None
    return Damage(key, "wrong-bytes", f"its SHA-256 does not match; {_damaged_chunks(store, prefix, root, key)}")


def _damaged_chunks(store: Store, prefix: str, root: RootDocument, key: str) -> str:
    """Which chunks of a damaged object cannot be read, in words."""
    path, _, shard = key.partition("/c/")
    layout = _layout(root.manifest, path) if shard else None
    if layout is None:
        return "it is a small array or a metadata document"
    handle = open_array(store.child(*prefix.split("/")), path, root.nodes[path])
    errors = []
    for region in _chunks(layout, shard):
        try:
            PendingBlock(handle[region].read(), root.manifest.case_id, path).result()
        except CorruptData as error:
            errors.append(error.where.partition(f"array {path}, ")[2])
    named = "; ".join(errors[:NAMED_CHUNKS])
    return f"chunks that cannot be read: {len(errors)}: {named}" if errors else "every chunk can be read"


def _chunks(layout: ArrayLayout, shard: str) -> Iterator[tuple[slice, ...]]:
    """The regions of the chunks of one shard ``z/y/x``, clipped to the array."""
    shard_shape = layout.shard_shape or layout.chunk_shape
    starts = [int(n) * side for n, side in zip(shard.split("/"), shard_shape, strict=True)]
    ends = [min(a + side, n) for a, side, n in zip(starts, shard_shape, layout.shape, strict=True)]
    ranges = [range(a, b, step) for a, b, step in zip(starts, ends, layout.chunk_shape, strict=True)]
    for corner in itertools.product(*ranges):
        yield tuple(slice(a, min(a + n, b)) for a, n, b in zip(corner, layout.chunk_shape, ends, strict=True))


def _layout(manifest: Manifest, path: str) -> ArrayLayout | None:
    """The layout of one of the case's volumes; None for its small arrays, which are one chunk each."""
    group, _, level = path.rpartition("/")
    if group == LABELS_GROUP:
        return labels_layout(manifest.grid.shape, int(level), manifest.table.dtype)
    return image_layout(manifest.grid.shape, int(level)) if not group and level.isdigit() else None
