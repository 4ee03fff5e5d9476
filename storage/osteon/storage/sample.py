"""Foreground voxels drawn per class: a sample that any split of the scan into parts gives alike.

Each voxel's priority is a hash of the seed and its flat index; a class keeps its lowest. Samples therefore merge, and
the result does not depend on rows, processes or their order.
Hash: splitmix64 (Steele, Lea, Flood 2014, https://doi.org/10.1145/2660193.2660195).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Index3
from osteon.core.volume import Array

VOXELS_PER_CLASS = 2048
SEED = 20250
PLANES_AT_ONCE = 8  # bounds the memory for scans that are all foreground


@dataclass(frozen=True)
class Drawn:
    """A class's sample so far, lowest priorities first.

    Attributes:
        priority: uint64 hashes, ascending.
        index: int64 flat level-0 indices.
    """

    priority: npt.NDArray[np.uint64]
    index: npt.NDArray[np.int64]


Sample = dict[int, Drawn]


def draw(labels: Array, first_slice: int) -> Sample:
    """The sample of a slab of level-0 labels (z, y, x) that begins at ``first_slice`` of its scan."""
    plane = labels.shape[1] * labels.shape[2]
    parts = []
    for z in range(0, labels.shape[0], PLANES_AT_ONCE):
        block = labels[z : z + PLANES_AT_ONCE].ravel()
        inside = np.flatnonzero(block)
        index = inside + (first_slice + z) * plane
        parts.append(_draw(block[inside], index, priorities(index)))
    return merge_samples(parts)


def merge_samples(samples: Sequence[Sample]) -> Sample:
    """The sample of the union of several parts of one scan."""
    ids = sorted({label for sample in samples for label in sample})
    return {label: _lowest([sample[label] for sample in samples if label in sample]) for label in ids}


def coordinates(sample: Drawn, shape: Index3) -> npt.NDArray[np.int32]:
    """The drawn voxels (n, 3), z, y, x, in random order."""
    return np.stack(np.unravel_index(sample.index, shape), axis=1).astype(np.int32)


def priorities(index: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    """Splitmix64 of the flat indices, from the fixed seed."""
    state = (index.astype(np.uint64) + np.uint64(SEED)) * np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _draw(ids: Array, index: npt.NDArray[np.int64], priority: npt.NDArray[np.uint64]) -> Sample:
    result = {}
    for label in np.unique(ids):
        mine = np.flatnonzero(ids == label)
        result[int(label)] = _lowest([Drawn(priority[mine], index[mine])])
    return result


def _lowest(parts: Sequence[Drawn]) -> Drawn:
    priority = np.concatenate([part.priority for part in parts])
    index = np.concatenate([part.index for part in parts])
    if len(priority) > VOXELS_PER_CLASS:
        kept = np.argpartition(priority, VOXELS_PER_CLASS)[:VOXELS_PER_CLASS]
        priority, index = priority[kept], index[kept]
    order = np.argsort(priority)
    return Drawn(priority[order], index[order])
