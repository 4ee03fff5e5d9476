"""A whole scan through a network, window by window, without ever holding its logits.

Windows are walked in z order. Their output is averaged in a ring as deep as one window; planes that no further window
covers are turned into labels and given away. What is averaged are features, not logits, wherever they are fewer: the
head is a 1x1x1 convolution and averaging is linear, so it is applied once to each finished plane. Memory does not grow
with the number of planes, and with the number of classes by no more than the head.

Without zone skipping the labels are those of MONAI's `sliding_window_inference` (Gaussian, same overlap, input padded
with the normalised `StreamSpec.padding_hu`) up to rounding.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from osteon.core.errors import BadInput
from osteon.core.geometry import Index3
from osteon.core.volume import Volume, Zones
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import Backend, PendingOutput
from osteon.inference.contexts import context_views
from osteon.inference.mirror import Contribution, Twins
from osteon.inference.planes import Block, Labeller, OtherGrid, SameGrid
from osteon.inference.ring import Ring, Scoring
from osteon.inference.schedule import Schedule
from osteon.inference.slab import Slab
from osteon.inference.view import ModelView
from osteon.inference.windows import StreamSpec, WindowGrid, gaussian_weights
from osteon.telemetry.metrics import WINDOWS, Recorder

Progress = Callable[[int, int], None]


def stream_labels(
    image: Volume,
    backend: Backend,
    spec: StreamSpec,
    intensity: Intensity,
    grid: ModelGrid,
    *,
    zones: Zones | None,
    z_range: tuple[int, int] | None = None,
    on_progress: Progress | None = None,
    levels: Sequence[Volume] = (),
    twins: Twins | None = None,
    numbers: Recorder | None = None,
) -> Iterator[Block]:
    """Blocks (first plane, class numbers z, y, x) that follow one another and fill ``z_range`` of the image's own grid.

    Args:
        image: HU, level 0.
        backend: opened for windows of ``spec.window_shape``.
        spec: how the scan is cut into windows.
        intensity: from HU to the network's input.
        grid: the grid the network was trained on.
        zones: the zone map of level 0; without it, or without a bone floor, every window is computed.
        z_range: planes of the image wanted, start and stop; all by default. They get the same labels as in a run over
            the whole image, and only windows that cover them are read and computed.
        on_progress: called with the windows done and the windows there are.
        levels: the stored pyramid of ``image``, level 0 first, if there is one.
        twins: for every class the class of the same bone on the other side; needed if windows are mirrored.
        numbers: told at the end how many windows were computed and skipped.

    Raises:
        BadInput: ``z-range``, if it is empty or leaves the image.
    """
    planes = z_range or (0, image.grid.shape[0])
    if not 0 <= planes[0] < planes[1] <= image.grid.shape[0]:
        raise BadInput("z-range", f"planes {planes[0]}:{planes[1]} are not among the {image.grid.shape[0]} of the scan")
    if spec.mirror and twins is None:
        raise BadInput("no-twins", "mirroring needs to know which class is which on the other side")
    view = ModelView.of(image, levels, grid, intensity)
    contribution = Contribution.smallest(backend, twins if spec.mirror else None)
    labeller = _labeller(image, view, contribution.scoring(), planes)
    needed = labeller.needed(planes)
    windows = WindowGrid(view.grid.shape, spec.window_shape, spec.overlap)
    schedule = Schedule.of(windows, needed, view, zones, spec.bone_floor_hu)
    padding = float(intensity.apply(torch.tensor(spec.padding_hu)))
    wider = context_views(view, image, levels, backend.num_views - 1)
    slab = Slab(view, schedule, padding, backend.device, wider)
    ring = Ring(gaussian_weights(spec.window_shape).to(backend.device), contribution.num_channels, schedule.frame)
    outputs = _computed(schedule, slab, contribution, spec.batch_size, on_progress)
    yield from _labelled(outputs, ring, labeller, schedule.rows[0].z, needed)
    if numbers:
        numbers.record(WINDOWS, schedule.num_windows, "computed")
        numbers.record(WINDOWS, schedule.num_skipped, "skipped")


def _labeller(image: Volume, view: ModelView, scoring: Scoring, planes: tuple[int, int]) -> Labeller:
    if view.grid == image.grid:
        return SameGrid(image.grid.shape, scoring)
    return OtherGrid(image.grid, view.grid, scoring, planes)


def _computed(
    schedule: Schedule, slab: Slab, contribution: Contribution, batch_size: int, on_progress: Progress | None
) -> Iterator[tuple[Index3, Tensor]]:
    """Windows with their channels (C, Z, Y, X), in order; reading and computing run ahead of what is given away."""
    done = 0
    for windows, pending in _submitted(schedule, slab, contribution, batch_size):
        yield from zip(windows, pending.result(), strict=True)
        done += len(windows)
        if on_progress:
            on_progress(done, schedule.num_windows)


def _submitted(
    schedule: Schedule, slab: Slab, contribution: Contribution, batch_size: int
) -> Iterator[tuple[list[Index3], PendingOutput]]:
    """Batches of windows with their results, `Contribution.depth` of them under way."""
    under_way: deque[tuple[list[Index3], PendingOutput]] = deque()
    slab.begin(0)
    for number, row in enumerate(schedule.rows):
        slab.finish()
        slab.begin(number + 1)
        for first in range(0, len(row.windows), batch_size):
            windows = list(row.windows[first : first + batch_size])
            if len(under_way) == contribution.depth:
                yield under_way.popleft()
            under_way.append((windows, contribution.submit(slab.batch(windows))))
    yield from under_way


def _labelled(
    outputs: Iterator[tuple[Index3, Tensor]], ring: Ring, labeller: Labeller, first: int, needed: tuple[int, int]
) -> Iterator[Block]:
    """Accumulate windows; before the first one of a row, give away the planes that it does not reach."""
    done = first
    for window, channels in outputs:
        yield from _advance(ring, labeller, done, window[0], needed)
        done = max(done, window[0])
        ring.add(window, channels)
    yield from _advance(ring, labeller, done, needed[1], needed)


def _advance(ring: Ring, labeller: Labeller, start: int, stop: int, needed: tuple[int, int]) -> Iterator[Block]:
    """Give away the planes from ``start`` to ``stop`` as far as they are needed, and make room."""
    while start < stop:
        end = min(stop, start + ring.depth)
        first, last = max(start, needed[0]), min(end, needed[1])
        if first < last:
            yield from labeller.finished(ring, first, last)
        ring.clear(start, end)
        start = end
