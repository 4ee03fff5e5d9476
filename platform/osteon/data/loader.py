"""Training batches straight from stored volumes: reads are begun several batches ahead and waited for in threads.

No worker processes, no volume ever held whole: at most ``prefetch`` batches of blocks are in memory. Where a patch
reaches outside its scan, the outermost voxels are repeated, in image and labels alike (Schnider et al. 2020).

Contexts: context k covers 2^k times the patch's field of view with as many voxels, centred on the same point. On the
scan's own grid that is, number for number, the block of pyramid level k whose first voxel is p / 2^k - S / 2, for
patches whose centre p (a voxel's face) is a multiple of 2^K; with K contexts the loader rounds centres to such
multiples. Beyond the scan the outermost voxels of that level are repeated.
Letters: B patches, C channel (1), Z Y X voxels.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from osteon.core.errors import BadInput, OsteonError
from osteon.core.geometry import Index3, Vector3
from osteon.core.labels import LabelTable
from osteon.core.volume import Pending, TrainingCase, Volume
from osteon.data.preprocess import (
    Intensity,
    ModelGrid,
    Window,
    halved,
    level_for,
    locate,
    resample_linear,
    resample_nearest,
)
from osteon.data.sampling import PatchLocation, PatchSampler


@dataclass(frozen=True)
class Batch:
    """Patches of one training step, on the loader's device.

    Attributes:
        image_BCZYX: float32, normalised by the recipe's `Intensity`.
        labels_BZYX: classes, 0 = background and k = k-th label of the table; uint8, or int16 beyond 255 labels.
        locations: where the patches were drawn.
        contexts: wider views of the same places, like ``image_BCZYX``; the k-th has voxels 2^k times as large.
        spacing_mm: voxel spacing of each patch, z, y, x.
        context_labels: classes of the contexts, like ``labels_BZYX``; empty unless asked for.
    """

    image_BCZYX: Tensor  # noqa: N815  # a shape suffix
    labels_BZYX: Tensor  # noqa: N815  # a shape suffix
    locations: tuple[PatchLocation, ...]
    contexts: tuple[Tensor, ...] = ()
    spacing_mm: tuple[Vector3, ...] = ()
    context_labels: tuple[Tensor, ...] = ()

    @property
    def input_BVZYX(self) -> Tensor:  # noqa: N802  # a shape suffix
        """What a network takes: the views as channels, the target first."""
        return torch.cat([self.image_BCZYX, *self.contexts], dim=1) if self.contexts else self.image_BCZYX

    @property
    def labels(self) -> tuple[Tensor, ...]:
        """Classes BZYX of every view that has them, the target first."""
        return (self.labels_BZYX, *self.context_labels)


class PatchLoader:
    """Reads the patches that a sampler draws.

    Args:
        cases: the sampler's cases.
        sampler: says where to read.
        grid: the model's grid; patches are resampled to it from the coarsest pyramid level that is fine enough.
        intensity: how HU become network input.
        table: the labels to be learnt; all others become background.
        batch_size: patches per batch.
        num_threads: threads that begin reads, and as many that finish them.
        prefetch: batches under way at most, the one handed out not counted.
        num_contexts: wider views to read with every patch.
        context_labels: whether to read their labels too.
        device: where batches go; a CUDA device is fed from pinned memory without waiting.

    Attributes:
        wait_s: seconds the consumer has waited for data so far.
    """

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        sampler: PatchSampler,
        grid: ModelGrid,
        intensity: Intensity,
        table: LabelTable,
        batch_size: int,
        num_threads: int = 2,
        prefetch: int = 4,
        num_contexts: int = 0,
        context_labels: bool = False,
        device: torch.device | str = "cpu",
    ) -> None:
        patch_shape = sampler.spec.patch_shape
        if num_contexts and any(n % 2 for n in patch_shape):
            raise BadInput("odd-patch", f"contexts need an even patch shape, not {patch_shape}")
        self._cases = cases
        self._sampler = sampler
        self._grid = grid
        self._intensity = intensity
        self._class_of = _class_lookup(table)
        self._batch_size = batch_size
        self._num_threads = num_threads
        self._prefetch = prefetch
        self._num_contexts = num_contexts
        self._num_labels = 1 + (num_contexts if context_labels else 0)
        self._device = torch.device(device)
        self.wait_s = 0.0

    def __call__(self, start_step: int, stop_step: int) -> Iterator[Batch]:
        """The batches of the steps from ``start_step`` up to, not including, ``stop_step``.

        Raises:
            OsteonError: what a read raised, with the case named.
        """
        steps = iter(range(start_step, stop_step))
        under_way: deque[Future[Batch]] = deque()
        with _threads(self._num_threads) as openers, _threads(self._num_threads) as finishers:

            def begin_next() -> None:
                if (step := next(steps, None)) is not None:
                    under_way.append(finishers.submit(self._finish, openers.submit(self._begin, step)))

            for _ in range(self._prefetch):
                begin_next()
            while under_way:
                batch = self._wait(under_way.popleft())
                begin_next()
                yield self._on_device(batch)

    def _wait(self, future: Future[Batch]) -> Batch:
        began = time.perf_counter()
        batch = future.result()
        self.wait_s += time.perf_counter() - began
        return batch

    def _begin(self, step: int) -> list[_Reads]:
        return [self._begin_patch(location) for location in self._sampler.batch(step, self._batch_size)]

    def _begin_patch(self, location: PatchLocation) -> _Reads:
        case = self._cases[location.case]
        with _naming(case):
            grid = self._grid.grid_of(case.grid)
            spacing_mm, multiple = grid.spacing_mm, 2**self._num_contexts
            center = center_of(location, case.grid.spacing_mm, spacing_mm, multiple)
            shape = self._sampler.spec.patch_shape
            if self._sampler.spec.inside:
                center = center_inside(center, shape, grid.shape, multiple)
            views, labels = [], []
            for k in range(self._num_contexts + 1):
                wanted_mm, start = _times(spacing_mm, 2**k), start_of(center, shape, k)
                level = level_for(case.grid.spacing_mm, wanted_mm)
                views.append(_begin_read(image_at(case, level), wanted_mm, start, shape))
                if k < self._num_labels:
                    stored = case.labels(min(level, case.num_levels - 1))
                    labels.append(_begin_read(stored, wanted_mm, start, shape))
            return _Reads(location, case, spacing_mm, views, labels)

    def _finish(self, opening: Future[list[_Reads]]) -> Batch:
        reads = opening.result()
        shape = self._sampler.spec.patch_shape
        views = [self._empty((len(reads), 1, *shape), torch.float32) for _ in range(self._num_contexts + 1)]
        kind = torch.from_numpy(self._class_of).dtype
        labels = [self._empty((len(reads), *shape), kind) for _ in range(self._num_labels)]
        for row, patch in enumerate(reads):
            with _naming(patch.case):
                for view_BCZYX, read in zip(views, patch.views, strict=True):
                    hu = resample_linear(torch.from_numpy(read.pending.result()), read.window.positions)
                    self._intensity.apply_(view_BCZYX[row, 0].copy_(hu))
                for labels_BZYX, read in zip(labels, patch.labels, strict=True):
                    ids = np.asarray(read.pending.result(), dtype=np.uint16)
                    classes = torch.from_numpy(np.take(self._class_of, ids))
                    labels_BZYX[row] = resample_nearest(classes, read.window.positions)
        return Batch(
            views[0],
            labels[0],
            tuple(patch.location for patch in reads),
            contexts=tuple(views[1:]),
            context_labels=tuple(labels[1:]),
            spacing_mm=tuple(patch.spacing_mm for patch in reads),
        )

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self._device.type == "cuda")

    def _on_device(self, batch: Batch) -> Batch:
        if self._device.type == "cpu":
            return batch
        return replace(
            batch,
            image_BCZYX=batch.image_BCZYX.to(self._device, non_blocking=True),
            labels_BZYX=batch.labels_BZYX.to(self._device, non_blocking=True),
            contexts=tuple(view.to(self._device, non_blocking=True) for view in batch.contexts),
            context_labels=tuple(each.to(self._device, non_blocking=True) for each in batch.context_labels),
        )


@dataclass(frozen=True)
class _Read:
    pending: Pending
    window: Window


@dataclass(frozen=True)
class _Reads:
    """The reads of one patch, under way."""

    location: PatchLocation
    case: TrainingCase
    spacing_mm: Vector3
    views: list[_Read]
    labels: list[_Read]


def center_of(location: PatchLocation, scan_mm: Vector3, model_mm: Vector3, multiple: int = 1) -> Index3:
    """The voxel of the model's grid that holds a location's centre, rounded to a multiple (halves go up)."""
    z, y, x = (
        int((voxel + 0.5) * own / model / multiple + (0.5 if multiple > 1 else 0)) * multiple
        for voxel, own, model in zip(location.center, scan_mm, model_mm, strict=True)
    )
    return (z, y, x)


def center_inside(center: Index3, shape: Index3, volume_shape: Index3, multiple: int = 1) -> Index3:
    """The centre nearest to ``center`` of a block that lies in the volume, rounded down to a multiple.

    Along an axis on which the volume is smaller than the block, the volume's middle.
    """
    z, y, x = (
        (min(max(middle, count // 2), size - count + count // 2) if size >= count else size // 2) // multiple * multiple
        for middle, count, size in zip(center, shape, volume_shape, strict=True)
    )
    return (z, y, x)


def start_of(center: Index3, shape: Index3, context: int) -> Index3:
    """The first voxel, on the grid of a context (0: the patch itself), of the block of ``shape`` about a centre.

    Exact where the centre is a multiple of 2^context; else the block lies up to one voxel of the context lower.
    """
    z, y, x = (middle // 2**context - count // 2 for middle, count in zip(center, shape, strict=True))
    return (z, y, x)


def image_at(case: TrainingCase, level: int) -> Volume:
    """A case's image at a pyramid level; levels beyond the stored ones are pooled from the coarsest stored one."""
    stored = min(level, case.num_levels - 1)
    return halved(case.image(stored), level - stored)


def _begin_read(volume: Volume, spacing_mm: Vector3, start: Index3, shape: Index3) -> _Read:
    window = locate(volume.grid, spacing_mm, start, shape)
    return _Read(volume.read(window.start, window.shape), window)


def _times(spacing_mm: Vector3, factor: int) -> Vector3:
    z, y, x = spacing_mm
    return (z * factor, y * factor, x * factor)


def _class_lookup(table: LabelTable) -> npt.NDArray[np.uint8] | npt.NDArray[np.int16]:
    """Class by label id, for every id that a label array can hold."""
    lookup: npt.NDArray[np.uint8] | npt.NDArray[np.int16]
    lookup = np.zeros(2**16, np.uint8) if len(table) <= 255 else np.zeros(2**16, np.int16)
    known = table.class_of()
    lookup[: len(known)] = known
    return lookup


@contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(count, thread_name_prefix="osteon-loader")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _naming(case: TrainingCase) -> Iterator[None]:
    """Say which case an error comes from."""
    try:
        yield
    except OsteonError as error:
        if case.case_id in error.where:
            raise
        raise error.at(f"case {case.case_id}" + (f", {error.where}" if error.where else "")) from error
    except Exception as error:
        error.add_note(f"while reading case {case.case_id}")
        raise
