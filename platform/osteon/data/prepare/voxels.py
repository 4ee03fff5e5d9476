"""The voxels of a derived case, slab by slab.

HU stay int16 Hounsfield units, cut to the window: what a network sees is the recipe's `intensity`, here as everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Grid
from osteon.core.labels import BACKGROUND
from osteon.core.volume import Array, Volume
from osteon.data.prepare.plan import Preparation
from osteon.data.prepare.sample import level_for_hu, level_for_labels, sample
from osteon.data.prepare.spec import HU_RANGE, PrepareSpec

AIR_HU = -1000


def prepare_hu(
    levels: Sequence[Volume], preparation: Preparation, spec: PrepareSpec, planes: tuple[int, int]
) -> npt.NDArray[np.int16]:
    """Planes (start, stop) of a derived case in HU, int16, z, y, x; air around the scan.

    They are interpolated, once, in the pyramid level that training would read for this spacing.
    """
    volume = level_for_hu(levels, preparation.grid.spacing_mm)
    block = _slab(volume, levels[0].grid, preparation, planes, linear=True, outside=AIR_HU)
    lowest, highest = spec.window_hu or HU_RANGE
    return np.rint(np.clip(block, lowest, highest)).astype(np.int16)


def prepare_labels(levels: Sequence[Volume], preparation: Preparation, planes: tuple[int, int]) -> Array:
    """The label ids of the same planes, z, y, x: the nearest of the pyramid level, whose voxels are majorities."""
    volume = level_for_labels(levels, preparation.grid.spacing_mm)
    ids = _slab(volume, levels[0].grid, preparation, planes, linear=False, outside=BACKGROUND)
    if preparation.kept is not None:
        kept = np.full(int(ids.max()) + 1, BACKGROUND, np.int32)
        for source, derived in preparation.kept.items():
            kept[source : source + 1] = derived
        ids = kept[ids]
    return ids.astype(levels[0].dtype)


def _slab(
    volume: Volume, source: Grid, preparation: Preparation, planes: tuple[int, int], *, linear: bool, outside: int
) -> Array:
    start, stop = planes
    return sample(
        lambda first, count: volume.read(first, count).result(),
        volume.grid.shape,
        preparation.chain.index_map(source, volume.grid),
        (start, 0, 0),
        (stop - start, *preparation.grid.shape[1:]),
        linear=linear,
        outside=outside,
    )
