"""Opens a DICOM volume: orders its slices, checks them against their bytes, and makes a `Scan` of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.core.geometry import Grid, Reorientation
from osteon.storage.provenance import Provenance
from osteon.storage.readers import hounsfield, transfer_syntax
from osteon.storage.readers.dicom_pixels import (
    SlicePlanes,
    check_size,
    frame_hu,
    frame_survey,
    inflate_pixels,
    read_frames,
)
from osteon.storage.readers.dicom_slices import Slice
from osteon.storage.readers.dicom_stack import sort_slices
from osteon.storage.readers.digest import digest_files
from osteon.storage.readers.planes import Planes, new_spool, spool
from osteon.storage.readers.scan import Scan
from osteon.storage.readers.stack import Stack
from osteon.storage.readers.upright import make_upright

_SAMPLES = 3  # compressed slices decoded on opening, to see early that they can be, and that they hold HU


def open_dicom(slices: Sequence[Slice], *, scratch: Path, allow_gaps: bool = False) -> Scan:
    """The scan of one volume's frames, given in any order.

    Raises:
        BadScan: what the table of bad scans refuses; what decoders find in compressed frames comes when slabs
            are read.
    """
    for frame in {frame.path: frame for frame in slices}.values():
        check_size(frame)
    ordered, stack = sort_slices(slices)
    ordered, stack, notes = _drop_duplicates(_inflated(ordered, scratch), stack)
    grid, planes, mended = _make_regular(stack, SlicePlanes(ordered), allow_gaps)
    order = Reorientation.to_lps(grid)
    if order.axes[0] != 0:
        planes = spool(planes, new_spool(scratch))
    files = sorted({Path(frame.path) for frame in slices})
    provenance = Provenance(
        source_format="dicom",
        source_digest=digest_files(files),
        source_grid=grid,
        reorientation=order,
        corrections=(*notes, *mended, *_notes(ordered), *hounsfield.judge(_survey(ordered), is_ct=True)),
        fields=dict(ordered[0].fields),
    )
    return Scan(
        order.apply_grid(grid),
        provenance,
        sum(file.stat().st_size for file in files),
        planes,
        str(scratch),
        bool(mended),
    )


def _drop_duplicates(ordered: tuple[Slice, ...], stack: Stack) -> tuple[tuple[Slice, ...], Stack, tuple[str, ...]]:
    """Keep one of the slices that lie at the same place and hold the same HU."""
    dropped = set(stack.coincident())
    for number in sorted(dropped):
        first, second = (frame_hu(frame, pixels) for frame, pixels in _with_pixels(ordered[number - 1 : number + 1]))
        if not np.array_equal(first, second):
            raise BadScan(
                "duplicate-slice",
                f"slices {number} and {number + 1} lie at the same place and differ",
                remedy="two acquisitions are mixed: sort them into two folders",
            )
    kept = [number for number in range(len(ordered)) if number not in dropped]
    notes = (f"duplicate-slice: {len(dropped)} identical copies dropped",) if dropped else ()
    return tuple(ordered[number] for number in kept), stack.take(kept), notes


def _make_regular(stack: Stack, planes: Planes, allow_gaps: bool) -> tuple[Grid, Planes, tuple[str, ...]]:
    fault = stack.fault()
    if fault is None:
        return stack.grid(), planes, ()
    if not allow_gaps:
        raise fault.refusal
    grid, upright = make_upright(stack, planes)
    return grid, upright, (fault.correction(grid),)


def _with_pixels(frames: Sequence[Slice]) -> Iterator[tuple[Slice, npt.NDArray[np.generic]]]:
    return zip(frames, read_frames(frames), strict=True)


def _inflated(ordered: tuple[Slice, ...], scratch: Path) -> tuple[Slice, ...]:
    """The frames, deflated ones replaced by inflated copies in ``scratch``."""
    deflated = [frame for frame in ordered if frame.layout.syntax == transfer_syntax.DEFLATED]
    if not deflated:
        return ordered
    copies = dict(zip(deflated, inflate_pixels(deflated, new_spool(scratch)), strict=True))
    return tuple(copies.get(frame, frame) for frame in ordered)


def _survey(ordered: tuple[Slice, ...]) -> hounsfield.Survey:
    """The range of HU: of all native slices, of some compressed ones."""
    native = [frame for frame in ordered if frame.layout.syntax in transfer_syntax.NATIVE]
    compressed = [frame for frame in ordered if frame.layout.syntax in transfer_syntax.COMPRESSED]
    sample = sorted(set(np.linspace(0, len(compressed) - 1, _SAMPLES).astype(int))) if compressed else []
    found = hounsfield.NOTHING
    for frame, pixels in _with_pixels([*native, *(compressed[number] for number in sample)]):
        found = found.merge(frame_survey(frame, pixels))
    return found


def _notes(ordered: tuple[Slice, ...]) -> Iterator[str]:
    """What the headers say that a user of the case should know."""
    first = ordered[0]
    assert first.slope is not None
    assert first.intercept is not None
    if len(ordered) == 1:
        yield "single-slice: the slice distance is SliceThickness"
    if any(frame.is_lossy for frame in ordered):
        yield "lossy: compression changed the pixels before they came here"
    if first.rescale_type not in ("", "HU"):
        yield f"non-hu: RescaleType is {first.rescale_type[:16]}"
    if first.padding is not None:
        yield f"padding: {first.padding * first.slope + first.intercept:g} HU stands where nothing was measured"
