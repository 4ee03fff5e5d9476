"""From stored numbers to HU int16: the one place where voxel values are converted and judged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan

INT16 = np.iinfo(np.int16)
_BLOCK_VOXELS = 1 << 22  # converted at a time: 32 MiB as float64


@dataclass(frozen=True)
class Survey:
    """What one pass over the voxels found, in HU.

    Attributes:
        minimum: the lowest finite value.
        maximum: the highest finite value.
        non_finite: how many voxels are NaN or infinite.
        rounding: the largest distance of a value from a whole number.
    """

    minimum: float
    maximum: float
    non_finite: int = 0
    rounding: float = 0.0

    def merge(self, other: Survey) -> Survey:
        """The survey of both parts."""
        return Survey(
            min(self.minimum, other.minimum),
            max(self.maximum, other.maximum),
            self.non_finite + other.non_finite,
            max(self.rounding, other.rounding),
        )


NOTHING = Survey(np.inf, -np.inf)


@np.errstate(invalid="ignore", over="ignore")  # what is not finite is counted, not warned of
def survey(stored: npt.NDArray[np.generic], slope: float, intercept: float) -> Survey:
    """Look at every voxel of a block of stored numbers (any shape, integers or floats) once."""
    if stored.size == 0:
        return NOTHING
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = (float(stored.min()) * slope + intercept, float(stored.max()) * slope + intercept)
        return Survey(min(ends), max(ends))
    result = NOTHING
    flat = stored.reshape(-1)
    for start in range(0, flat.size, _BLOCK_VOXELS):
        result = result.merge(
            _survey_floats(flat[start : start + _BLOCK_VOXELS].astype(np.float64) * slope + intercept)
        )
    return result


def _survey_floats(values: npt.NDArray[np.float64]) -> Survey:
    finite = np.isfinite(values)
    count = int(np.count_nonzero(finite))
    if count < values.size:
        values = values[finite]
    if count == 0:
        return Survey(np.inf, -np.inf, int(finite.size))
    rounding = float(np.abs(values - np.rint(values)).max())
    return Survey(float(values.min()), float(values.max()), int(finite.size) - count, rounding)


def judge(found: Survey, *, is_ct: bool) -> tuple[str, ...]:
    """The corrections and doubts to record for a whole scan, each as ``code: text``.

    Values that cannot be HU, because nothing is below that of water, are marked where the header says that this is a
    CT image (``is_ct``), and refused where nothing does: labels and windowed pictures come as NIfTI, too.

    Raises:
        BadScan: ``non-finite-voxels``, ``hu-range``, ``non-hu``.
    """
    if found.non_finite:
        raise BadScan(
            "non-finite-voxels",
            f"{found.non_finite} voxels are NaN or infinite",
            remedy="replace them in the source, with -1024 where nothing was measured",
        )
    check_range(found.minimum, found.maximum)
    notes = []
    if found.rounding > 0:
        notes.append(f"rounded: to whole HU, by at most {found.rounding:.4g}")
    if found.minimum >= 0 or found.maximum < 100:
        what = f"values run from {found.minimum:g} to {found.maximum:g}, which is no CT scan's range"
        if found.minimum >= 0 and not is_ct:
            remedy = "give labels with --labels; add the rescale intercept to scans that were saved without it"
            raise BadScan("non-hu", what, remedy=remedy)
        notes.append(f"non-hu: {what}")
    return tuple(notes)


def check_range(minimum: float, maximum: float) -> None:
    """Refuse (``hu-range``) what int16 cannot hold; NaN is refused too."""
    if not (minimum >= INT16.min - 0.5 and maximum < INT16.max + 0.5):
        raise BadScan(
            "hu-range",
            f"values run from {minimum:g} to {maximum:g}, HU lie within {INT16.min}..{INT16.max}",
            remedy="check the rescale slope and intercept, or that this is a CT scan",
        )


@np.errstate(invalid="ignore", over="ignore")  # check_range refuses what is not finite
def to_hu(stored: npt.NDArray[np.generic], slope: float, intercept: float) -> npt.NDArray[np.int16]:
    """HU int16 of a block of stored numbers (any shape): stored * slope + intercept, rounded to whole HU.

    Raises:
        BadScan: ``hu-range``.
    """
    if stored.size == 0:
        return stored.astype(np.int16)
    if stored.dtype.kind in "iu" and slope == 1 and intercept.is_integer():
        check_range(int(stored.min()) + intercept, int(stored.max()) + intercept)
        if intercept == 0:
            return stored.astype(np.int16, copy=False)
        # Arithmetic modulo 2^16 ends at the right value, because the result was just seen to fit.
        offset = np.array(int(intercept)).astype(np.int16)
        return np.add(stored.astype(np.int16, copy=False), offset, dtype=np.int16)
    result = np.empty(stored.shape, np.int16)
    rows = max(1, _BLOCK_VOXELS * len(stored) // stored.size)
    for start in range(0, len(stored), rows):
        values = np.rint(stored[start : start + rows].astype(np.float64) * slope + intercept)
        check_range(float(values.min()), float(values.max()))
        result[start : start + rows] = values
    return result
