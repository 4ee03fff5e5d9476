"""Overlap of two label arrays, all classes at once, from one joint histogram. Knows class numbers, no bones.

The joint histogram counts voxels by (reference class, predicted class); every overlap metric is a ratio of its entries.
Histograms of disjoint parts of a scan add up, so a scan may be compared slab by slab.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from osteon.core.volume import Array

SLAB_VOXELS = 1 << 21  # voxels counted at a time: bounds the temporary int64 codes to 16 MB
Histogram = npt.NDArray[np.int64]


def joint_histogram(prediction: Array, reference: Array, num_classes: int) -> Histogram:
    """Voxels by reference class (row) and predicted class (column).

    Args:
        prediction: class numbers 0 … num_classes - 1, any unsigned or signed integer type.
        reference: the same shape and range.
        num_classes: how many classes there are, the background (0) included.

    Raises:
        ValueError: if the shapes differ or a class number is out of range.
    """
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction has shape {prediction.shape}, reference {reference.shape}")
    predicted, expected = prediction.reshape(-1), reference.reshape(-1)
    counts = np.zeros(num_classes * num_classes, dtype=np.int64)
    for start in range(0, predicted.size, SLAB_VOXELS):
        counts += _count(predicted[start : start + SLAB_VOXELS], expected[start : start + SLAB_VOXELS], num_classes)
    return counts.reshape(num_classes, num_classes)


def dice_of(histogram: Histogram) -> npt.NDArray[np.float64]:
    """DSC = 2 |P ∩ R| / (|P| + |R|) of every class of a joint histogram; NaN where a class is in neither."""
    common = np.diagonal(histogram)
    total = histogram.sum(axis=0) + histogram.sum(axis=1)
    dice = np.full(len(histogram), np.nan)
    np.divide(2.0 * common, total, out=dice, where=total > 0)
    return dice


def dice_per_class(prediction: Array, reference: Array, num_classes: int) -> npt.NDArray[np.float64]:
    """DSC of classes 0 … num_classes - 1 (0 is the background); NaN where a class is in neither array.

    The light metric of validation during training: one pass over both arrays. Raises as `joint_histogram` does.
    """
    return dice_of(joint_histogram(prediction, reference, num_classes))


def _count(prediction: Array, reference: Array, num_classes: int) -> npt.NDArray[np.int64]:
    low = min(int(prediction.min()), int(reference.min()))
    high = max(int(prediction.max()), int(reference.max()))
    if low < 0 or high >= num_classes:
        raise ValueError(f"class numbers {low} … {high} do not fit num_classes = {num_classes}")
    codes = reference.astype(np.int64)
    codes *= num_classes
    codes += prediction.astype(np.int64, copy=False)
    return np.bincount(codes, minlength=num_classes * num_classes)
