"""The pixels of DICOM frames: native ones are read straight from the file, compressed ones decoded by the sandbox."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan
from osteon.core.geometry import Index3
from osteon.storage.readers import hounsfield, transfer_syntax
from osteon.storage.readers.dicom_slices import PixelLayout, Slice
from osteon.storage.readers.inflate import RAW_DEFLATE, inflate
from osteon.storage.readers.planes import check_extent
from osteon.storage.readers.sandbox import FrameRequest, decode_frames

_ITEM, _DELIMITER = 0xE000FFFE, 0xE0DDFFFE


@dataclass(frozen=True)
class SlicePlanes:
    """`Planes` of a sorted DICOM stack, read across its slice axis only."""

    slices: tuple[Slice, ...]

    @property
    def shape(self) -> Index3:
        """Slices, rows, columns."""
        return (len(self.slices), self.slices[0].layout.rows, self.slices[0].layout.columns)

    def read(self, axis: int, start: int, stop: int) -> npt.NDArray[np.int16]:
        """See `Planes`."""
        if axis != 0:
            raise ValueError("a DICOM stack is read across its slice axis; spool it first")
        frames = self.slices[start:stop]
        result = np.empty((len(frames), *self.shape[1:]), np.int16)
        for number, (frame, pixels) in enumerate(zip(frames, read_frames(frames), strict=True)):
            try:
                result[number] = frame_hu(frame, pixels)
            except BadScan as error:
                raise error.at(frame.path) from None
        return result


def frame_hu(frame: Slice, pixels: npt.NDArray[np.generic]) -> npt.NDArray[np.int16]:
    """HU of a frame's stored numbers."""
    assert frame.slope is not None
    assert frame.intercept is not None
    return hounsfield.to_hu(pixels, frame.slope, frame.intercept)


def frame_survey(frame: Slice, pixels: npt.NDArray[np.generic]) -> hounsfield.Survey:
    """The range of a frame in HU."""
    assert frame.slope is not None
    assert frame.intercept is not None
    return hounsfield.survey(pixels, frame.slope, frame.intercept)


def read_frames(frames: Sequence[Slice]) -> Iterator[npt.NDArray[np.generic]]:
    """The stored numbers of frames, rows x columns each, in the given order.

    Raises:
        BadScan: ``truncated-pixels``, or what the sandbox refuses.
    """
    for native, group in itertools.groupby(frames, lambda frame: frame.layout.syntax in transfer_syntax.NATIVE):
        run = list(group)
        yield from map(_read_native, run) if native else decode_frames([_request(frame) for frame in run])


def check_size(frame: Slice) -> None:
    """Check what the header declares against the bytes there are, before any of them is decoded.

    Raises:
        BadScan: ``transfer-syntax``, ``no-pixels``, ``declared-size``, ``truncated-pixels``.
    """
    layout = frame.layout
    if layout.syntax not in transfer_syntax.NATIVE | transfer_syntax.COMPRESSED:
        what = f"transfer syntax {layout.syntax[:64]} is not read"
        raise BadScan("transfer-syntax", what, where=frame.path, remedy="decompress the series first")
    if layout.length == 0 or min(layout.rows, layout.columns) < 1:
        what = f"{layout.rows} x {layout.columns} pixels in {layout.length} bytes"
        raise BadScan("no-pixels", what, where=frame.path, remedy="send the original CT series")
    size = _frame_bytes(layout)
    try:
        check_extent((layout.frames, layout.rows, layout.columns), size * layout.frames)
    except BadScan as error:
        raise error.at(frame.path) from None
    if layout.syntax in transfer_syntax.COMPRESSED:
        _check_fragments(frame)
        return
    expected = size * layout.frames
    if layout.length is None or layout.length < expected:
        what = f"{layout.frames} frames of {layout.rows} x {layout.columns} need {expected} bytes, not {layout.length}"
        raise BadScan("declared-size", what, where=frame.path, remedy="the header is damaged; export the file again")
    available = Path(frame.path).stat().st_size - layout.offset
    if layout.syntax != transfer_syntax.DEFLATED and available < expected:
        raise _truncated(frame, f"{expected} bytes of pixels declared, {max(0, available)} are there")


def _frame_bytes(layout: PixelLayout) -> int:
    return layout.rows * layout.columns * layout.bits_allocated // 8


def _read_native(frame: Slice) -> npt.NDArray[np.generic]:
    layout = frame.layout
    order = "<" if transfer_syntax.is_little_endian(layout.syntax) else ">"
    dtype = np.dtype(f"{order}{'i' if layout.signed else 'u'}{layout.bits_allocated // 8}")
    size = _frame_bytes(layout)
    start = layout.offset + frame.frame * size
    data = np.fromfile(frame.path, np.uint8, size, offset=start)
    if len(data) < size:
        raise _truncated(frame, f"frame {frame.frame} ends after {len(data)} of {size} bytes")
    pixels = data.view(dtype).reshape(layout.rows, layout.columns)
    return _without_unused_bits(pixels, layout)


def _without_unused_bits(pixels: npt.NDArray[np.generic], layout: PixelLayout) -> npt.NDArray[np.generic]:
    """Bits above BitsStored may hold anything (PS3.5 8.1.1); shifting them out also restores the sign."""
    unused = layout.bits_allocated - layout.bits_stored
    if not unused:
        return pixels
    native = pixels.astype(pixels.dtype.newbyteorder("="))
    return np.right_shift(np.left_shift(native, unused), unused)


def inflate_pixels(frames: Sequence[Slice], spool: Path) -> tuple[Slice, ...]:
    """Copy the pixels of deflated frames to a spool file; the same frames, to be read from there.

    Raises:
        BadScan: ``inflated-size``, ``truncated-pixels``, ``corrupt-compression``.
    """
    offsets: dict[str, int] = {}
    with spool.open("wb") as file:
        for frame in frames:
            if frame.path not in offsets:
                offsets[frame.path] = file.tell()
                for piece in _inflate_file(frame):
                    file.write(piece)
    return tuple(
        replace(
            frame,
            path=str(spool),
            layout=replace(frame.layout, syntax=transfer_syntax.EXPLICIT, offset=offsets[frame.path]),
        )
        for frame in frames
    )


def _inflate_file(frame: Slice) -> Iterator[memoryview]:
    path, size = Path(frame.path), _frame_bytes(frame.layout) * frame.layout.frames
    try:
        start = _deflated_offset(path)
        yield from inflate(path, offset=start, skip=frame.layout.offset, size=size, wbits=RAW_DEFLATE)
    except BadScan as error:
        raise error.at(frame.path) from None


def _deflated_offset(path: Path) -> int:
    """Where the deflated data set begins: behind preamble and meta header, whose length its first element holds."""
    with path.open("rb") as file:
        file.seek(132)
        group, element, _, _, length = struct.unpack("<HH2sHI", file.read(12).ljust(12, b"\0"))
    if (group, element) != (2, 0):
        raise BadScan("unreadable-header", "the meta header does not begin with its length")
    return 144 + int(length)


def _request(frame: Slice) -> FrameRequest:
    layout = frame.layout
    return FrameRequest(
        frame.path,
        layout.offset,
        layout.syntax,
        frame.frame,
        layout.rows,
        layout.columns,
        layout.frames,
        layout.bits_allocated,
        layout.bits_stored,
        layout.signed,
    )


def _check_fragments(frame: Slice) -> None:
    """Walk the items of encapsulated pixels: each must end within the file, one per frame at least (PS3.5 A.4)."""
    size = Path(frame.path).stat().st_size
    position, items = frame.layout.offset, 0
    with Path(frame.path).open("rb") as file:
        while True:
            file.seek(position)
            head = file.read(8)
            tag, length = struct.unpack("<II", head) if len(head) == 8 else (0, 0)
            if tag == _DELIMITER:
                break
            position += 8 + length
            if tag != _ITEM or position > size:
                raise _truncated(frame, f"fragment {items} of the pixels ends at byte {position} of {size}")
            items += 1
    if items - 1 < frame.layout.frames:
        what = f"{frame.layout.frames} frames declared, {max(0, items - 1)} fragments are there"
        raise BadScan("declared-size", what, where=frame.path)


def _truncated(frame: Slice, what: str) -> BadScan:
    return BadScan("truncated-pixels", what, where=frame.path, remedy="fetch or export the file again")
