"""Where the discs of a spine lie, told from the outline of its vertebrae: there it is narrower. Knows no names."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from osteon.core.geometry import Vector3

BODY_MM: Final = 30.0  # round the spine's middle: bodies, without the tips of processes
DISC_MM: Final = 3.0  # smoothing that leaves a disc
VERTEBRA_MM: Final = 25.0  # smoothing that leaves the spine's own width
NARROW: Final = 0.08  # of that width: how much narrower it is at a disc than beside it
NEXT_MM: Final = 10.0  # from a disc to the next at least
UNEVEN: Final = 0.6  # of the distance that discs around them have: less is between no two

Points = npt.NDArray[np.float64]


def middle_of(spine: npt.NDArray[np.bool_], spacing_mm: Vector3) -> Points:
    """The middle of the spine in each plane, y and x in mm.

    Args:
        spine: whether a voxel is of a vertebra, z, y, x.
        spacing_mm: voxel size z, y, x.
    """
    area = spine.sum(axis=(1, 2)).astype(float)
    sigma = VERTEBRA_MM / spacing_mm[0]
    sums = (spine.sum(axis=2) @ np.arange(spine.shape[1]), spine.sum(axis=1) @ np.arange(spine.shape[2]))
    around = np.maximum(gaussian_filter1d(area, sigma), 1e-9)
    means = [gaussian_filter1d(each.astype(float), sigma) / around for each in sums]
    middle_mm: Points = np.column_stack(means) * spacing_mm[1:]
    return middle_mm


def in_body(voxels: tuple[npt.NDArray[np.int64], ...], middle_mm: Points, spacing_mm: Vector3) -> npt.NDArray[np.bool_]:
    """Which voxels (z, y, x) are near the spine's middle."""
    z, y, x = voxels
    distance_mm = np.hypot(y * spacing_mm[1] - middle_mm[z, 0], x * spacing_mm[2] - middle_mm[z, 1])
    near: npt.NDArray[np.bool_] = distance_mm < BODY_MM
    return near


def find_discs(spine: npt.NDArray[np.bool_], middle_mm: Points, spacing_mm: Vector3) -> npt.NDArray[np.int64]:
    """The planes of the discs, from below; those that the scan's ends cut are not seen.

    Args:
        spine: as `middle_of`.
        middle_mm: what that found.
        spacing_mm: voxel size z, y, x.
    """
    voxels = np.nonzero(spine)
    area = np.bincount(voxels[0][in_body(voxels, middle_mm, spacing_mm)], minlength=len(spine)).astype(float)
    own = gaussian_filter1d(area, VERTEBRA_MM / spacing_mm[0])
    width = gaussian_filter1d(area, DISC_MM / spacing_mm[0]) / np.maximum(own, 1e-9)
    planes, shape = find_peaks(-width, prominence=NARROW, distance=max(1, int(NEXT_MM / spacing_mm[0])))
    inside = (planes > voxels[0].min(initial=0)) & (planes < voxels[0].max(initial=0))
    return _even(planes[inside].tolist(), shape["prominences"][inside].tolist())


def _even(planes: list[int], depths: list[float]) -> npt.NDArray[np.int64]:
    """Without the shallower one of two that are much nearer to each other than those around them."""
    place = 0
    while place + 1 < len(planes):
        gaps = np.diff(planes)
        others = np.r_[gaps[max(0, place - 2) : place], gaps[place + 1 : place + 3]]
        if len(others) and gaps[place] < UNEVEN * np.median(others):
            shallow = place + int(depths[place + 1] < depths[place])
            del planes[shallow], depths[shallow]
            place = 0
        else:
            place += 1
    return np.array(planes, dtype=np.int64)
