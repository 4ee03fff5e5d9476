"""What measuring yields, as values that can be stored: the numbers of a bone, and all of them as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Self

import numpy as np
import numpy.typing as npt

from osteon.core.geometry import Vector3
from osteon.core.volume import Array
from osteon.evaluation.scores import Score

LOW, HIGH = 5, 95  # percentiles of HU
DIGITS = 4  # after the point, in tables; JSON keeps them all


class HuMeasures(Score):
    """Hounsfield units of a bone's voxels.

    Attributes:
        mean: of all voxels.
        sd: standard deviation over the voxels.
        median: of all voxels.
        p05: 5th percentile.
        p95: 95th percentile.
    """

    mean: float
    sd: float
    median: float
    p05: float
    p95: float

    @classmethod
    def of(cls, hu: Array) -> Self:
        """The statistics of a flat array that is not empty."""
        values = hu.astype(np.float64)
        low, median, high = np.percentile(values, (LOW, 50, HIGH)).tolist()
        return cls(mean=float(values.mean()), sd=float(values.std()), median=median, p05=low, p95=high)


class CortexMeasures(Score):
    """Cortical thickness over a bone's surface, every point weighted by its share of the area.

    Attributes:
        mean_mm: None, like the others, where no point has a thickness.
        sd_mm: standard deviation over the surface.
        median_mm: half of the measured surface has less.
        measured_share: share of the surface that has a thickness; the walls of the marrow count as surface.
    """

    mean_mm: float | None
    sd_mm: float | None
    median_mm: float | None
    measured_share: float

    @classmethod
    def of(cls, thickness_mm: npt.NDArray[np.float64], areas_mm2: npt.NDArray[np.float64]) -> Self:
        """The statistics of values per vertex, NaN where there is none."""
        found = np.isfinite(thickness_mm)
        values, weights = thickness_mm[found], areas_mm2[found]
        if not weights.sum():
            return cls(mean_mm=None, sd_mm=None, median_mm=None, measured_share=0.0)
        mean = np.average(values, weights=weights)
        sd = np.sqrt(np.average((values - mean) ** 2, weights=weights))
        median = np.quantile(values, 0.5, weights=weights, method="inverted_cdf")
        share = weights.sum() / areas_mm2.sum()
        return cls(mean_mm=float(mean), sd_mm=float(sd), median_mm=float(median), measured_share=float(share))


class BoneMeasures(Score):
    """One bone of one label volume.

    Attributes:
        id: label id.
        name: the label's name.
        voxels: how many it has.
        volume_mm3: of its voxels.
        surface_mm2: of its mesh.
        centroid_mm: mean position of its voxels, patient z, y, x (LPS).
        box_min_mm: lowest z, y, x of its mesh.
        box_max_mm: highest z, y, x of its mesh.
        is_cut_off: whether it reaches the end of the scan, so that some of it may be missing.
        is_watertight: whether every edge of its mesh has two triangles facing outward.
        hu: None without a scan.
        cortex: None where no cortex was asked for or told apart.
    """

    id: int
    name: str
    voxels: int
    volume_mm3: float
    surface_mm2: float
    centroid_mm: Vector3
    box_min_mm: Vector3
    box_max_mm: Vector3
    is_cut_off: bool
    is_watertight: bool
    hu: HuMeasures | None
    cortex: CortexMeasures | None


class SubjectMeasures(Score):
    """All bones of one label volume.

    Attributes:
        subject: case id, or the label file's name without its suffix.
        source: path or URL of what was measured.
        cortex_hu: HU from which on bone counted as cortical, if that was asked for.
        bones: in order of id.
    """

    subject: str
    source: str
    cortex_hu: float | None
    bones: tuple[BoneMeasures, ...]


def to_csv(subjects: Sequence[SubjectMeasures]) -> str:
    """One line per bone; empty where there is no value. Columns carry their units; z, y, x are patient axes (LPS)."""
    rows = [
        {"subject": subject.subject} | dict(_columns(bone.model_dump()))
        for subject in subjects
        for bone in subject.bones
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(dict.fromkeys(column for row in rows for column in row)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _columns(values: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    """Nested values as columns: ``hu.mean`` as ``hu_mean``, ``centroid_mm`` as ``centroid_z_mm`` and so on."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _columns(value, f"{prefix}{name}_")
        elif isinstance(value, tuple):
            parts = {f"{name.removesuffix('_mm')}_{axis}_mm": each for axis, each in zip("zyx", value, strict=True)}
            yield from _columns(parts, prefix)
        elif value is not None or name not in ("hu", "cortex"):
            yield f"{prefix}{name}", round(value, DIGITS) if isinstance(value, float) else value
