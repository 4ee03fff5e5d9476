"""A dataset in a few numbers: spacings, shapes, HU percentiles; what recipes are planned from.

Made of the cases' histograms, so no voxel is read and its cost does not grow with the scans.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from osteon.core.geometry import Index3, Vector3
from osteon.storage.catalog import CatalogRow
from osteon.storage.histogram import FOREGROUND, WHOLE, Histograms, mean_and_std, percentile

PERCENTS = (0.5, 5.0, 25.0, 50.0, 75.0, 95.0, 99.5)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Intensities(_Frozen):
    """A distribution of HU.

    Attributes:
        mean_hu: mean.
        std_hu: standard deviation.
        percentiles_hu: HU by percent, for `PERCENTS`.
    """

    mean_hu: float
    std_hu: float
    percentiles_hu: dict[float, float]

    @classmethod
    def of(cls, histogram: npt.NDArray[np.int64]) -> Intensities | None:
        """The distribution of a histogram of 1 HU bins; None of an empty one."""
        if not histogram.any():
            return None
        mean, std = mean_and_std(histogram)
        return cls(mean_hu=mean, std_hu=std, percentiles_hu={p: percentile(histogram, p) for p in PERCENTS})


class Fingerprint(_Frozen):
    """What the scans of a dataset are like; every triple is z, y, x.

    Attributes:
        num_cases: committed cases.
        num_labelled: of them with labels.
        spacing_mm: median spacing along each axis; None for an empty dataset.
        smallest_spacing_mm: smallest spacing along each axis.
        largest_spacing_mm: largest spacing along each axis.
        shape: median shape.
        whole: HU of all voxels (one in 64 is counted).
        foreground: HU of every labelled voxel; None if no voxel has a label.
    """

    num_cases: int
    num_labelled: int
    spacing_mm: Vector3 | None
    smallest_spacing_mm: Vector3 | None
    largest_spacing_mm: Vector3 | None
    shape: Index3 | None
    whole: Intensities | None
    foreground: Intensities | None


def fingerprint(rows: Sequence[CatalogRow], histograms: Histograms) -> Fingerprint:
    """The fingerprint of the cases of ``rows``, whose merged histograms are given."""
    spacings = np.array([row.spacing_mm for row in rows])
    return Fingerprint(
        num_cases=len(rows),
        num_labelled=sum(row.has_labels for row in rows),
        spacing_mm=_vector(np.median(spacings, axis=0)) if rows else None,
        smallest_spacing_mm=_vector(spacings.min(axis=0)) if rows else None,
        largest_spacing_mm=_vector(spacings.max(axis=0)) if rows else None,
        shape=_index(np.median([row.shape for row in rows], axis=0)) if rows else None,
        whole=Intensities.of(histograms[WHOLE]),
        foreground=Intensities.of(histograms[FOREGROUND]),
    )


def _vector(values: npt.NDArray[np.float64]) -> Vector3:
    z, y, x = (float(value) for value in values)
    return z, y, x


def _index(values: npt.NDArray[np.float64]) -> Index3:
    z, y, x = (int(value) for value in values)
    return z, y, x
