"""The work on one order, cut into steps that can be done anywhere and any number of times. Knows no Ray and no HTTP.

A small scan is one step: read, segment, keep. A large one is read into the store, its planes are labelled range by
range, and the parts put together. Whatever a step leaves is committed by one put, so that a step that was killed is
done again from the start and one that was finished is not done again.
"""

from __future__ import annotations

import io
import math
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from osteon.core.errors import BadInput, CorruptData
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, canonical_name
from osteon.core.volume import Array, Labels, Volume, Zones
from osteon.inference.postprocess import postprocess
from osteon.inference.prepared import must_prepare
from osteon.inference.segmenter import Segmenter
from osteon.recipes.apply import OpenedScan, read_scan, segment_scan, stored_scan, volumes_ml
from osteon.recipes.bundle import Bundle
from osteon.recipes.ranges import Parts, Range, cut, fewest_planes, work_by_plane
from osteon.serve.deposit import deposit
from osteon.serve.endings import CASE
from osteon.serve.formats import Result
from osteon.serve.schemas import Bone, Format, Order, Seconds
from osteon.serve.settings import ServeSettings
from osteon.storage.case import StoredCase, open_case
from osteon.storage.export.dicom_seg import Algorithm
from osteon.storage.provenance import Provenance
from osteon.storage.stores import Store
from osteon.storage.writer import write_zarr
from osteon.telemetry.metrics import LABELLING_SECONDS, VOXELS, Notes, Recorder

FORMATS: tuple[Format, ...] = ("nifti", "nrrd", "omezarr", "stl", "json")  # and dicomseg of a DICOM series
Stage = Literal["reading", "segmenting", "finishing"]


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Progress(_Event):
    """How far a step is."""

    stage: Stage
    share: float


class Split(_Event):
    """The scan is in the store; these planes of it are to be labelled."""

    ranges: tuple[Range, ...]
    seconds: Seconds


class RangeDone(_Event):
    """The labels of a range are in the store."""


class Done(_Event):
    """The result is in the store."""

    digest: str
    bones: tuple[Bone, ...]
    formats: tuple[Format, ...]
    seconds: Seconds


class Deposited(_Event):
    """The archive that the scan came from has the bones."""


Report = Callable[[Progress], None]
Fetch = Callable[[Order, Path], str]
"""Brings an order's scan near: a path in the folder, or the URL of a stored case."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory; one order at a time uses it.

    Attributes:
        bundle: what was loaded.
        segmenter: the network on its engine.
        lock: held while it computes.
    """

    bundle: Bundle
    segmenter: Segmenter
    lock: threading.Lock


class Kept(BaseModel):
    """What a range needs to know of a scan that was read into the store.

    Attributes:
        case: URL of the stored scan.
        has_own_zones: whether its own zone map is to be used: it was a stored case before.
        ranges: planes of each part.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case: str
    has_own_zones: bool
    ranges: tuple[Range, ...]


@dataclass(frozen=True)
class Work:
    """The steps of one order.

    Attributes:
        order: what was asked.
        store: of the service.
        model: to be used.
        settings: of the service.
        fetch: brings the scan near.
        numbers: told of what was labelled.
    """

    order: Order
    store: Store
    model: LoadedModel
    settings: ServeSettings
    fetch: Fetch
    numbers: Recorder = field(default_factory=Notes)

    @property
    def result_url(self) -> str:
        """Where scan and labels will lie."""
        return self.store.child(self._result).url

    def begin(self, report: Report) -> Split | Done:
        """Read the scan; a small one is segmented at once.

        Raises:
            OsteonError: whatever makes the scan, the labels wanted or the model impossible.
        """
        if (done := self._done()) is not None:
            return done
        if (kept := self._kept()) is not None:
            return Split(ranges=kept.ranges, seconds=Seconds())
        _wanted(self.model.segmenter.table, self.order.labels)
        with tempfile.TemporaryDirectory(prefix="osteon-serve-") as scratch:
            return self._read(Path(scratch), report)

    def label_range(self, number: int, report: Report) -> RangeDone:
        """Label the planes of one range and keep them."""
        kept = self._kept_for_sure()
        if not self._parts.has(number):
            self._parts.keep(number, self._labelled(self._stored(kept), kept.ranges[number], report))
            self.store.settle(self._folder)
        return RangeDone()

    def finish(self, report: Report) -> Done:
        """Put the parts together, mend them and commit the result."""
        if (done := self._done()) is not None:
            return done
        kept = self._kept_for_sure()
        report(Progress(stage="finishing", share=0))
        scan, segmenter = self._stored(kept), self.model.segmenter
        joined = self._parts.joined(len(kept.ranges))
        labels = postprocess(joined, segmenter.postprocess, scan.image.grid.spacing_mm, segmenter.table)
        return self._keep(scan, labels, segmenter.table, Seconds())

    def deposit(self, report: Report) -> Deposited:
        """Give the bones of a result to the archive that the series came from; not again if it has them.

        Raises:
            OsteonError: the archive refuses, or does not answer.
        """
        report(Progress(stage="finishing", share=0.5))
        mark, case = f"{self._folder}/deposited", result_case(self.store, self.order.id)
        assert case is not None
        assert self.order.source is not None
        if not self.store.exists(mark):
            with tempfile.TemporaryDirectory(prefix="osteon-deposit-") as name:
                scratch, model = Path(name), Algorithm(self.order.model, self.model.bundle.digest)
                result = Result(self.order.id, case, model, lambda: self.fetch(self.order, scratch))
                deposit(result, self.order.source, self.settings.sources, scratch)
            self.store.write_bytes(mark, b"")
        return Deposited()

    @property
    def _result(self) -> str:
        return f"results/{self.order.id}{CASE}"

    @property
    def _folder(self) -> str:
        return f"work/{self.order.id}"

    @property
    def _parts(self) -> Parts:
        return Parts(self.store.child(self._folder))

    def _read(self, scratch: Path, report: Report) -> Split | Done:
        report(Progress(stage="reading", share=0))
        started = time.perf_counter()
        place = self.fetch(self.order, scratch)
        scan = stored_scan(place) if place.endswith(CASE) else read_scan(Path(place), scratch)
        seconds = Seconds(reading=time.perf_counter() - started)
        ranges = self._ranges(scan)
        if len(ranges) == 1:
            return self._segment_whole(scan, seconds, report)
        kept = self._keep_scan(scan, place if place.endswith(CASE) else None, ranges)
        self.store.settle(self._folder)  # before the file that says that it is all there
        self.store.write_bytes(f"{self._folder}/kept.json", kept.model_dump_json().encode())
        self.store.settle(f"{self._folder}/kept.json")
        return Split(ranges=ranges, seconds=Seconds(reading=time.perf_counter() - started))

    def _segment_whole(self, scan: OpenedScan, seconds: Seconds, report: Report) -> Done:
        started = time.perf_counter()

        def count(done: int, total: int) -> None:
            report(Progress(stage="segmenting", share=done / total))

        with self.model.lock:
            begun = time.perf_counter()
            labels, table = segment_scan(self.model.segmenter, self.model.bundle.recipe.prepare, scan, count)
            self._count(labels, begun)
        report(Progress(stage="finishing", share=0))
        return self._keep(scan, labels, table, seconds.model_copy(update={"segmenting": time.perf_counter() - started}))

    def _ranges(self, scan: OpenedScan) -> tuple[Range, ...]:
        """Planes of the parts; one part for small scans and for scans that have to be prepared."""
        grid, recipe = scan.image.grid, self.model.bundle.recipe
        count = math.ceil(grid.num_voxels / (self.settings.range_megavoxels * 1e6))
        if count == 1 or must_prepare(recipe.prepare, scan.provenance.derivation):
            return ((0, grid.shape[0]),)
        work = work_by_plane(recipe, scan.image, scan.zones, scan.levels)
        return cut(work, count, fewest_planes(recipe, grid.spacing_mm[0]))

    def _keep_scan(self, scan: OpenedScan, case: str | None, ranges: tuple[Range, ...]) -> Kept:
        """Put a scan that was sent where every replica can read parts of it; a stored case is there already."""
        if case is not None:
            return Kept(case=case, has_own_zones=True, ranges=ranges)
        url = self.store.child(self._folder, f"scan{CASE}").url
        write_zarr(url, _hu(scan.image), None, scan.image.grid, self.model.segmenter.table, scan.provenance)
        zones = io.BytesIO()
        np.savez(zones, shape=scan.zones.chunk_shape, low=scan.zones.hu_min, high=scan.zones.hu_max)
        self.store.write_bytes(f"{self._folder}/zones.npz", zones.getvalue())
        return Kept(case=url, has_own_zones=False, ranges=ranges)

    def _kept(self) -> Kept | None:
        try:
            return Kept.model_validate_json(self.store.read_bytes(f"{self._folder}/kept.json"))
        except FileNotFoundError:
            return None

    def _kept_for_sure(self) -> Kept:
        kept = self._kept()
        if kept is None:
            raise CorruptData("no-scan-kept", "the scan that was read is gone", where=self.order.id)
        return kept

    def _stored(self, kept: Kept) -> OpenedScan:
        """The scan in the store; with the zones of the file it was, so that the same windows are left out."""
        scan = stored_scan(kept.case)
        if kept.has_own_zones:
            return scan
        with np.load(io.BytesIO(self.store.read_bytes(f"{self._folder}/zones.npz"))) as file:
            low, high = file["low"], file["high"]
            z, y, x = (int(side) for side in file["shape"])
        return replace(scan, zones=Zones((z, y, x), low, high, np.zeros((*low.shape, 0), dtype=np.uint8)))

    def _labelled(self, scan: OpenedScan, planes: Range, report: Report) -> Labels:
        def count(done: int, total: int) -> None:
            report(Progress(stage="segmenting", share=done / total))

        with self.model.lock:
            begun = time.perf_counter()
            segmenter = self.model.segmenter
            labels = segmenter.label(scan.image, scan.zones, count, levels=scan.levels, z_range=planes)
            self._count(labels, begun)
        return labels

    def _count(self, labels: Labels, begun: float) -> None:
        self.numbers.record(VOXELS, labels.size)
        self.numbers.record(LABELLING_SECONDS, time.perf_counter() - begun)

    def _keep(self, scan: OpenedScan, labels: Labels, table: LabelTable, seconds: Seconds) -> Done:
        """Commit scan and labels."""
        started = time.perf_counter()
        wanted = _wanted(table, self.order.labels)
        if len(wanted) < len(table):
            labels[~np.isin(labels, list(wanted.names))] = 0
        write_zarr(self.result_url, _hu(scan.image), labels, scan.image.grid, table, scan.provenance)
        with ThreadPoolExecutor(1) as disk:
            settled = disk.submit(self.store.settle, self._result)
            bones = bones_of(labels, table, scan.image.grid)
            settled.result()
        finishing = seconds.model_copy(update={"finishing": time.perf_counter() - started})
        return self._told(bones, scan.provenance, finishing)

    def _done(self) -> Done | None:
        """What an attempt that was killed after its commit would have said."""
        case = result_case(self.store, self.order.id)
        if case is None:
            return None
        self.store.settle(self._result)
        labels = case.labels().read((0, 0, 0), case.grid.shape).result()
        return self._told(bones_of(labels, case.table, case.grid), case.provenance, Seconds())

    def _told(self, bones: tuple[Bone, ...], provenance: Provenance, seconds: Seconds) -> Done:
        is_case = (self.order.source or "").rstrip("/").endswith(CASE)  # which has no series in it
        formats = (*FORMATS, "dicomseg") if provenance.source_format == "dicom" and not is_case else FORMATS
        return Done(digest=self.model.bundle.digest, bones=bones, formats=formats, seconds=seconds)


def result_case(store: Store, id_: str) -> StoredCase | None:
    """Scan and labels of an order that is done."""
    try:
        return open_case(store.child("results", f"{id_}{CASE}"))
    except BadInput:
        return None


def bones_of(labels: Array, table: LabelTable, grid: Grid) -> tuple[Bone, ...]:
    """The bones that were found, in order of id."""
    volumes = volumes_ml(labels, table, grid)
    found = (label for label in table.labels if label.name in volumes)
    return tuple(
        Bone(name=label.name, id=label.id, volume_ml=volumes[label.name], color=label.color) for label in found
    )


def _wanted(table: LabelTable, names: Sequence[str] | None) -> LabelTable:
    """The bones of a model that are asked for.

    Raises:
        BadInput: ``unknown-bone``.
    """
    if names is None:
        return table
    wanted = [canonical_name(name) for name in names]
    unknown = [name for name in wanted if name not in table.ids]
    if unknown:
        remedy = f"choose among {', '.join(table.ids)}"
        raise BadInput("unknown-bone", f"the model knows no {unknown[0]}", remedy=remedy)
    return table.subset(table.ids[name] for name in wanted)


def _hu(image: Volume) -> npt.NDArray[np.int16]:
    block: npt.NDArray[np.int16] = image.read((0, 0, 0), image.grid.shape).result().astype(np.int16, copy=False)
    return block
