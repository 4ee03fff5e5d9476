"""A trained network as a thing that turns a scan into bone labels; numpy in and out, like a predictor should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from osteon.core.labels import LabelTable
from osteon.core.volume import Labels, Volume, Zones
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import Backend
from osteon.inference.mirror import twin_classes
from osteon.inference.postprocess import PostprocessSpec, postprocess
from osteon.inference.stream import stream_labels
from osteon.inference.windows import StreamSpec
from osteon.telemetry.metrics import Recorder


@dataclass(frozen=True)
class Segmenter:
    """A backend with everything its recipe says about input and output.

    Attributes:
        backend: the network on some engine.
        table: the bones of classes 1, 2, … in order.
        spec: how scans are cut into windows.
        intensity: how HU become the network's input.
        grid: the grid the network was trained on.
        postprocess: what is mended in the labels.
        numbers: told how many windows were computed and skipped, if anybody wants to know.
    """

    backend: Backend
    table: LabelTable
    spec: StreamSpec
    intensity: Intensity
    grid: ModelGrid
    postprocess: PostprocessSpec
    numbers: Recorder | None = None

    def exact(self) -> Segmenter:
        """The same without zone skipping."""
        return replace(self, spec=self.spec.model_copy(update={"bone_floor_hu": None}))

    def segment(
        self,
        image: Volume,
        zones: Zones | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        *,
        levels: Sequence[Volume] = (),
    ) -> Labels:
        """Label ids of every voxel of ``image``, uint8 or uint16, z, y, x.

        Args:
            image: HU, level 0.
            zones: the zone map of level 0; without it no window is skipped.
            on_progress: called with the windows done and the windows there are.
            levels: the stored pyramid of ``image``, level 0 first, if there is one.
        """
        labels = self.label(image, zones, on_progress, levels=levels)
        return postprocess(labels, self.postprocess, image.grid.spacing_mm, self.table)

    def label(
        self,
        image: Volume,
        zones: Zones | None = None,
        on_progress: Callable[[int, int], None] | None = None,
        *,
        levels: Sequence[Volume] = (),
        z_range: tuple[int, int] | None = None,
    ) -> Labels:
        """The same of a range of planes, before anything is mended: parts that are joined are those of the whole.

        Args:
            image: HU, level 0.
            zones: the zone map of level 0; without it no window is skipped.
            on_progress: called with the windows done and the windows there are.
            levels: the stored pyramid of ``image``, level 0 first, if there is one.
            z_range: planes wanted, start and stop; all by default.
        """
        first, stop = z_range or (0, image.grid.shape[0])
        labels = np.empty((stop - first, *image.grid.shape[1:]), dtype=self.table.dtype)
        ids = self.table.id_of_class()
        blocks = stream_labels(
            image,
            self.backend,
            self.spec,
            self.intensity,
            self.grid,
            zones=zones,
            z_range=(first, stop),
            on_progress=on_progress,
            levels=levels,
            twins=twin_classes(self.table),
            numbers=self.numbers,
        )
        for z, block in blocks:
            labels[z - first : z - first + len(block)] = ids[block]
        return labels
