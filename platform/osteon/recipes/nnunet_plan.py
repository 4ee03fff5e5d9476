"""nnU-Net's rules for a network's size: from the scans' spacings and shapes to patch, strides, kernels and batch.

Source: Isensee et al. 2021, doi 10.1038/s41592-020-01008-z, supplementary note 2; where nnU-Net 2.8 differs from the
paper, the numbers are those of nnU-Net 2.8's `3d_fullres`. Knows no datasets and no recipes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Index3, Vector3

ANISOTROPIC = 3  # times as coarse, or as few voxels, as the other axes
SMALLEST_MAP = 4  # voxels along an axis, below which it is not pooled further
FIRST_PATCH = 256**3  # voxels of the patch from which shrinking starts
FIRST_CHANNELS, MOST_CHANNELS = 32, 320
REFERENCE_MAPS, REFERENCE_GB = 560e6, 8  # voxels of all feature maps that fit a batch of two into that much memory
LEAST_BATCH = 2
LARGEST_SHARE = 0.05  # of the dataset's voxels in one batch
COVERED = 0.25  # share of a scan that a patch must see, or nnU-Net plans a coarser network as well
COARSENING = 1.03

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Topology:
    """A patch and the levels of the U-Net that takes it; every triple is along the axes as given.

    Attributes:
        patch_shape: voxels, multiples of the product of the strides.
        strides: step to each level from the one above it; that of the finest is 1.
        kernels: sides of the convolutions of each level.
    """

    patch_shape: Index3
    strides: tuple[Index3, ...]
    kernels: tuple[Index3, ...]

    @property
    def multiple(self) -> npt.NDArray[np.int64]:
        """What a patch must be a multiple of."""
        return np.asarray(np.prod(self.strides, axis=0))

    @property
    def channels(self) -> tuple[int, ...]:
        """Features per level: doubled with every level up to a limit."""
        return tuple(min(MOST_CHANNELS, FIRST_CHANNELS * 2**level) for level in range(len(self.strides)))

    def map_voxels(self, num_classes: int) -> int:
        """Voxels of all feature maps of one patch: nnU-Net's measure of memory.

        A level has two maps of its convolutions on the way down, on the way up two and that of the up-convolution.
        """
        shapes = np.asarray(self.patch_shape) // np.cumprod(self.strides, axis=0)
        sizes = shapes.prod(axis=1) * np.asarray(self.channels)
        return int(5 * sizes.sum() - 3 * sizes[-1] + num_classes * np.prod(self.patch_shape))

    def permuted(self, axes: Sequence[int]) -> Topology:
        """The same with axis k taken from ``axes[k]``."""
        return Topology(
            _permuted(self.patch_shape, axes),
            tuple(_permuted(stride, axes) for stride in self.strides),
            tuple(_permuted(kernel, axes) for kernel in self.kernels),
        )


@dataclass(frozen=True)
class Plan:
    """What nnU-Net derives from a dataset for its full-resolution 3D network; z, y, x.

    Attributes:
        spacing_mm: the grid's.
        topology: patch and network.
        batch_size: patches per step.
        batch_dice: whether Dice is taken over the batch: where a patch sees little of a scan.
    """

    spacing_mm: Vector3
    topology: Topology
    batch_size: int
    batch_dice: bool


def plan(spacings_mm: Sequence[Vector3], shapes: Sequence[Index3], num_classes: int, memory_gb: float) -> Plan:
    """The plan for labelled scans of these spacings and shapes (z, y, x).

    Args:
        spacings_mm: of every scan.
        shapes: of every scan, voxels.
        num_classes: the background counted.
        memory_gb: of the accelerator to be filled; nnU-Net's default is 8.
    """
    target = target_spacing(spacings_mm, shapes)
    resampled = [
        [round(i / j * k) for i, j, k in zip(own, target, n, strict=True)]
        for own, n in zip(spacings_mm, shapes, strict=True)
    ]
    axes = _coarsest_first(target)
    spacing, shape = target[axes], np.median(resampled, axis=0)[axes]
    topology = fit(spacing, shape, num_classes, memory_gb)
    voxels = float(np.prod(shape)) * len(shapes)
    z, y, x = (float(mm) for mm in target)
    return Plan(
        (z, y, x),
        topology.permuted(np.argsort(axes).tolist()),
        _batch_size(topology, num_classes, memory_gb, voxels),
        _sees_little(topology, spacing, shape, num_classes, memory_gb),
    )


def target_spacing(spacings_mm: Sequence[Vector3], shapes: Sequence[Index3]) -> Vector:
    """The median spacing along each axis; the tenth percentile on an axis that is coarse and has few voxels."""
    target = np.asarray(np.median(spacings_mm, axis=0), dtype=np.float64)
    size = np.median(shapes, axis=0)
    worst = int(np.argmax(target))
    others = [axis for axis in range(3) if axis != worst]
    coarse, few = target[worst] > ANISOTROPIC * target[others].max(), size[worst] * ANISOTROPIC < size[others].min()
    if coarse and few:
        finer, bound = float(np.percentile(np.asarray(spacings_mm)[:, worst], 10)), target[others].max()
        target[worst] = finer if finer >= bound else bound + 1e-5
    return target


def fit(spacing: Vector, shape: Vector, num_classes: int, memory_gb: float) -> Topology:
    """The largest patch, as isotropic in millimetres as can be, whose network fits into memory with a batch of two.

    Args:
        spacing: of the voxels, mm.
        shape: median of the scans in such voxels; may be half-way between two.
        num_classes: the background counted.
        memory_gb: of the accelerator.
    """
    sides = [round(side) for side in 1 / spacing * (FIRST_PATCH * np.prod(spacing)) ** (1 / 3)]
    topology = topology_of(spacing, np.minimum(sides, shape))
    while topology.map_voxels(num_classes) > _budget(memory_gb):
        patch, ratios = np.array(topology.patch_shape), topology.patch_shape / shape
        axis = max(range(3), key=lambda k: (ratios[k], k))
        # A smaller patch may be pooled less often and then need a smaller step: 256 is followed by 224, not by 192.
        smaller = patch - np.eye(3, dtype=int)[axis] * topology.multiple
        patch[axis] -= topology_of(spacing, smaller).multiple[axis]
        topology = topology_of(spacing, patch)
    return topology


def topology_of(spacing: Vector, shape: npt.ArrayLike) -> Topology:
    """The levels for a patch, which is rounded up to whole strides.

    An axis is halved while it has voxels left and its spacing is within a factor of two of the finest such axis; its
    kernels are 1 until its spacing is within a factor of two of the finest of all axes.
    """
    own, size = spacing.copy(), np.asarray(shape, dtype=np.float64)
    strides, kernels, mixed = [_index((1, 1, 1))], [], np.zeros(3, dtype=bool)
    while (halved := _halved_axes(own, size)).any():
        mixed |= own / own.min() < 2
        kernels.append(_index(np.where(mixed, 3, 1)))
        strides.append(_index(np.where(halved, 2, 1)))
        own = np.where(halved, 2 * own, own)
        size = np.where(halved, np.ceil(size / 2), size)
    multiple = np.prod(strides, axis=0)
    patch = np.ceil(np.asarray(shape) / multiple) * multiple
    return Topology(_index(patch), tuple(strides), (*kernels, (3, 3, 3)))


def _halved_axes(spacing: Vector, size: Vector) -> npt.NDArray[np.bool_]:
    large = size >= 2 * SMALLEST_MAP
    halved: npt.NDArray[np.bool_] = large & (spacing < 2 * spacing[large].min(initial=np.inf))
    if halved.sum() == 1 and size[halved][0] < 3 * SMALLEST_MAP:
        return np.zeros(3, dtype=bool)
    return halved


def _budget(memory_gb: float) -> float:
    return REFERENCE_MAPS * memory_gb / REFERENCE_GB


def _batch_size(topology: Topology, num_classes: int, memory_gb: float, dataset_voxels: float) -> int:
    fitting = round(_budget(memory_gb) / topology.map_voxels(num_classes) * LEAST_BATCH)
    allowed = round(dataset_voxels * LARGEST_SHARE / float(np.prod(topology.patch_shape)))
    return max(min(fitting, allowed), LEAST_BATCH)


def _sees_little(topology: Topology, spacing: Vector, shape: Vector, num_classes: int, memory_gb: float) -> bool:
    """Whether nnU-Net would plan a coarser network too: only a grid of less than half the voxels shows enough."""
    coarser, patch, voxels = spacing.copy(), topology.patch_shape, float(np.prod(shape))
    while float(np.prod(patch)) / voxels < COVERED:
        finer = coarser.max() / coarser > 2
        coarser = coarser * np.where(finer if finer.any() else True, COARSENING, 1)
        now = spacing / coarser * shape
        voxels = float(np.prod(now))
        patch = fit(coarser, np.array([round(n) for n in now], dtype=np.float64), num_classes, memory_gb).patch_shape
    return float(np.prod(shape)) / voxels >= 2


def _coarsest_first(spacing: Vector) -> list[int]:
    worst = int(np.argmax(spacing))
    return [worst, *(axis for axis in range(3) if axis != worst)]


def _permuted(values: Index3, axes: Sequence[int]) -> Index3:
    z, y, x = (values[axis] for axis in axes)
    return (z, y, x)


def _index(values: npt.ArrayLike) -> Index3:
    z, y, x = (int(value) for value in np.asarray(values))
    return (z, y, x)
