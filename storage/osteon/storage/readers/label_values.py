"""From the numbers of a label file to Osteon's ids, piece by piece: every value checked, none guessed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.core.labels import BACKGROUND

MAX_VALUE = 65535  # the largest id in a label file
_LISTED = 10  # ids named in a message
_UNKNOWN = -1

Lookup = npt.NDArray[np.int32]


def lookup_of(ids: Mapping[int, int]) -> Lookup:
    """The table from a file's values to ids; values that are not in ``ids`` (bar 0) are unknown."""
    lookup = np.full(MAX_VALUE + 1, _UNKNOWN, np.int32)
    lookup[0] = BACKGROUND
    for value, id_ in ids.items():
        if 0 <= value <= MAX_VALUE:
            lookup[value] = id_
    return lookup


@np.errstate(invalid="ignore")  # NaN voxels are counted and refused
def whole_numbers(stored: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """The stored numbers as integers; floats must be whole.

    Raises:
        BadScan: ``label-values``.
    """
    if stored.dtype.kind in "iu":
        return stored
    values = stored.astype(np.float64)
    bad = int(np.count_nonzero(~(np.abs(values) <= MAX_VALUE) | (values != np.rint(values))))
    if bad:
        what = f"{bad} label voxels are no whole numbers from 0 to {MAX_VALUE}"
        raise BadScan("label-values", what, remedy="save the labels as integers, without interpolation")
    return values.astype(np.int32)


def translate(stored: npt.NDArray[np.generic], lookup: Lookup) -> npt.NDArray[np.int32]:
    """The ids of a piece of a label file.

    Raises:
        BadScan: ``label-values``, ``unknown-label-id``.
    """
    values = whole_numbers(stored)
    if values.size == 0:
        return np.empty(0, np.int32)
    lowest, highest = int(values.min()), int(values.max())
    in_range = lowest >= 0 and highest <= MAX_VALUE
    ids: npt.NDArray[np.int32] = lookup[values if in_range else 0]
    if not in_range or ids.min() == _UNKNOWN:
        unknown = [v for v in np.unique(values).tolist() if not (0 <= v <= MAX_VALUE and lookup[v] != _UNKNOWN)]
        more = f" and {len(unknown) - _LISTED} more" if len(unknown) > _LISTED else ""
        raise BadScan(
            "unknown-label-id",
            f"label ids {', '.join(map(str, unknown[:_LISTED]))}{more} have no name",
            remedy="give their names with --labels-map FILE",
        )
    return ids


def lay_over(below: npt.NDArray[np.generic], above: npt.NDArray[np.generic]) -> tuple[npt.NDArray[np.generic], int]:
    """Both label pieces in one, the smaller id where both have one, and in how many voxels that was."""
    both = (below != BACKGROUND) & (above != BACKGROUND)
    merged = np.where(both, np.minimum(below, above), np.maximum(below, above))
    return merged, int(np.count_nonzero(both & (below != above)))
