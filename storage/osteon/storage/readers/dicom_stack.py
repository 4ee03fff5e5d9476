"""The geometry of a DICOM volume: from the positions of its frames to a grid, or to the reasons why there is none.

Knows headers only. Positions, never instance numbers or file names, say in which order slices lie.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from osteon.core.errors import BadScan
from osteon.core.geometry import SHEAR_TOLERANCE
from osteon.storage.readers.dicom_slices import Slice
from osteon.storage.readers.stack import Stack, vector


def sort_slices(slices: Sequence[Slice]) -> tuple[tuple[Slice, ...], Stack]:
    """The frames of one volume in ascending order along their normal, and where they lie.

    Raises:
        BadScan: ``no-position``, ``orientation``, ``pixel-spacing``, ``photometric``, ``no-rescale``, ``rescale``,
            ``bits``.
    """
    for frame in slices:
        _check(frame)
    first = slices[0]
    assert first.orientation is not None
    assert first.spacing is not None
    row, column = vector(first.orientation[:3]), vector(first.orientation[3:])
    along = [float(np.dot(np.cross(row, column), np.asarray(frame.position))) for frame in slices]
    ranks = sorted(range(len(slices)), key=lambda n: (along[n], slices[n].path, slices[n].frame))
    ordered = tuple(slices[rank] for rank in ranks)
    return ordered, Stack(
        positions=tuple(vector(frame.position) for frame in ordered if frame.position is not None),
        row=row,
        column=column,
        spacing_mm=(first.spacing[0], first.spacing[1]),
        plane_shape=(first.layout.rows, first.layout.columns),
        thickness_mm=first.thickness,
    )


def _check(frame: Slice) -> None:
    layout = frame.layout
    if layout.samples != 1 or layout.photometric != "MONOCHROME2":
        what = f"{layout.photometric or 'unknown'} pixels with {layout.samples} samples, only MONOCHROME2 holds HU"
        raise _refusal(frame, "photometric", what, "send the original CT series")
    if layout.bits_allocated not in (8, 16, 32) or not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise _refusal(frame, "bits", f"{layout.bits_stored} of {layout.bits_allocated} bits stored")
    _check_rescale(frame)
    _check_place(frame)


def _check_rescale(frame: Slice) -> None:
    if frame.slope is None or frame.intercept is None:
        what = "no RescaleSlope or RescaleIntercept: the numbers are not HU"
        raise _refusal(frame, "no-rescale", what, "send the original CT series")
    if not (math.isfinite(frame.slope) and frame.slope > 0 and math.isfinite(frame.intercept)):
        what = f"RescaleSlope {frame.slope:g}, RescaleIntercept {frame.intercept:g}"
        raise _refusal(frame, "rescale", what, "mend the header: CT scanners write slope 1")


def _check_place(frame: Slice) -> None:
    if frame.spacing is None or not all(math.isfinite(value) and value > 0 for value in frame.spacing):
        raise _refusal(frame, "pixel-spacing", f"PixelSpacing {frame.spacing}", "mend the header")
    if frame.position is None or not all(math.isfinite(value) for value in frame.position):
        raise _refusal(frame, "no-position", f"ImagePositionPatient {frame.position}", "mend the header")
    cosines = np.asarray(frame.orientation if frame.orientation is not None else [math.nan] * 6).reshape(2, 3)
    error = np.abs(cosines @ cosines.T - np.eye(2)).max()
    if not error <= SHEAR_TOLERANCE:
        what = f"ImageOrientationPatient {frame.orientation} are not two unit vectors at right angles"
        raise _refusal(frame, "orientation", what, "mend the header")


def _refusal(frame: Slice, code: str, what: str, remedy: str = "") -> BadScan:
    return BadScan(code, what, where=frame.path, remedy=remedy)
