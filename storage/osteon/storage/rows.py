"""Writes one row of a case: every level's shards, each encoded in memory, digested and put in one request."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadInput
from osteon.core.volume import Array
from osteon.storage.engine import encode
from osteon.storage.histogram import Histograms, count_hu
from osteon.storage.layout import ArrayLayout
from osteon.storage.manifest import StoredObject
from osteon.storage.plan import CasePlan
from osteon.storage.pyramid import image_levels, label_levels
from osteon.storage.sample import Sample, draw
from osteon.storage.zones import ZoneRow, map_zones

NUM_UPLOADS = 4  # PUTs in flight while the next level is encoded


@dataclass(frozen=True)
class RowReceipt:
    """What writing a row leaves behind for the commit; a few hundred kilobytes at most.

    Attributes:
        row: number of the row.
        objects: the shards put, by key below the case.
        zones: the row's zone map and label counts.
        sample: the row's foreground sample.
        histograms: the row's HU histograms.
    """

    row: int
    objects: dict[str, StoredObject]
    zones: ZoneRow
    sample: Sample
    histograms: Histograms


def write_row(plan: CasePlan, row: int, image: npt.NDArray[np.int16], labels: Array | None) -> RowReceipt:
    """Put every level's shards of a row; arguments and errors as `CaseWriter.write_row` says."""
    _check_shapes(plan, row, image, labels)
    if labels is not None:
        _check_range(plan, labels)
    zones = map_zones(image, labels, plan.largest_id)
    unknown = sorted(set(zones.counts) - set(plan.table.names))
    if unknown:
        raise _unknown_labels(plan, unknown)
    with ThreadPoolExecutor(NUM_UPLOADS) as uploads:
        puts = [uploads.submit(_put, plan, key, data) for key, data in _shards(plan, row, image, labels)]
        sample = draw(labels, plan.row_range(row)[0]) if labels is not None else {}
        histograms = count_hu(image, labels)
        objects = dict(put.result() for put in puts)
    return RowReceipt(row, objects, zones, sample, histograms)


def put_array(plan: CasePlan, layout: ArrayLayout, data: Array) -> dict[str, StoredObject]:
    """Put a whole small array."""
    encoded = encode(layout, (0,) * data.ndim, data)
    return dict(_put(plan, f"{layout.path}/{key}", content) for key, content in encoded.items())


def _check_shapes(plan: CasePlan, row: int, image: npt.NDArray[np.int16], labels: Array | None) -> None:
    first, end = plan.row_range(row)
    expected = (end - first, *plan.grid.shape[1:])
    if image.shape != expected or image.dtype != np.int16:
        raise BadInput("row-shape", f"row {row} is int16 {expected}, not {image.dtype} {image.shape}")
    if plan.has_labels != (labels is not None) or (labels is not None and labels.shape != expected):
        given = "none" if labels is None else str(labels.shape)
        wanted = str(expected) if plan.has_labels else "none"
        raise BadInput("row-shape", f"labels of row {row} are {given}, not {wanted}", where=plan.case_id)


def _check_range(plan: CasePlan, labels: Array) -> None:
    """Refuse ids that no table of this size can hold, before anything counts by them."""
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest > plan.largest_id:
        raise _unknown_labels(plan, [id_ for id_ in (lowest, highest) if not 0 <= id_ <= plan.largest_id])


def _unknown_labels(plan: CasePlan, ids: list[int]) -> BadInput:
    """The refusal of label ids that the table does not hold."""
    return BadInput(
        "unknown-label-id",
        f"label ids {ids} are not in the dataset's label table",
        where=plan.case_id,
        remedy="name them in the labels map",
    )


def _shards(
    plan: CasePlan, row: int, image: npt.NDArray[np.int16], labels: Array | None
) -> Iterator[tuple[str, bytes]]:
    for layout, averaged in zip(plan.image_layouts(), image_levels(image, plan.num_levels), strict=True):
        yield from _encoded(layout, row, averaged)
    if labels is not None:
        stored = labels.astype(plan.labels_dtype, copy=False)
        for layout, voted in zip(plan.labels_layouts(), label_levels(stored, plan.num_levels), strict=True):
            yield from _encoded(layout, row, voted)


def _encoded(layout: ArrayLayout, row: int, block: Array) -> Iterator[tuple[str, bytes]]:
    assert layout.shard_shape is not None
    for key, data in encode(layout, (row * layout.shard_shape[0], 0, 0), block).items():
        yield f"{layout.path}/{key}", data


def _put(plan: CasePlan, key: str, data: bytes) -> tuple[str, StoredObject]:
    plan.store.write_bytes(f"{plan.prefix}/{key}", data)
    return key, StoredObject.of(data)
