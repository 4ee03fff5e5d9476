"""Decoding of compressed frames in a child process with limits on memory and time.

One child serves many frames and is kept for the next scan; a child that crashes or hangs is killed, its frame refused.
Children are started with `subprocess`, which daemonic workers (Dask's) may use. Their answers are JSON and raw bytes:
nothing that a captured decoder says is ever unpickled.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from osteon.core.errors import BadScan

MEMORY_BYTES = 3 << 30  # address space of a child; a 512 x 512 frame needs a tenth
FRAME_TIMEOUT_S = 60.0
_MAX_HEAD = 1024
_AHEAD = 2  # requests sent before their answers are read, so that the child never waits
_CHILD = Path(__file__).with_name("decode_child.py")
_KEPT_ENVIRONMENT = ("PATH", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT", "LANG")  # no credentials


@dataclass(frozen=True)
class FrameRequest:
    """One compressed frame.

    Attributes:
        path: the file.
        offset: first byte of the encapsulated pixel data's value.
        syntax: transfer syntax UID.
        frame: number of the frame in the file.
        rows: pixels along a column.
        columns: pixels along a row.
        frames: frames in the file.
        bits_allocated: bits one pixel occupies.
        bits_stored: bits of them that hold its value.
        signed: whether the stored numbers are two's complement.
    """

    path: str
    offset: int
    syntax: str
    frame: int
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    signed: bool

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The stored numbers' type."""
        return np.dtype(f"<{'i' if self.signed else 'u'}{self.bits_allocated // 8}")

    def to_json(self) -> bytes:
        """The request as the child takes it."""
        options = {
            "rows": self.rows,
            "columns": self.columns,
            "number_of_frames": self.frames,
            "samples_per_pixel": 1,
            "photometric_interpretation": "MONOCHROME2",
            "bits_allocated": self.bits_allocated,
            "bits_stored": self.bits_stored,
            "pixel_representation": int(self.signed),
            "pixel_keyword": "PixelData",
        }
        request = {"path": self.path, "offset": self.offset, "syntax": self.syntax, "frame": self.frame}
        return json.dumps(request | {"options": options}).encode() + b"\n"


class Sandbox:
    """One child; not to be shared by threads."""

    def __init__(self, *, memory_bytes: int = MEMORY_BYTES, timeout_s: float = FRAME_TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._owner = os.getpid()
        environment = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_CHILD), str(memory_bytes)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout

    @property
    def is_usable(self) -> bool:
        """Whether the child lives and belongs to this process (after a fork it belongs to the parent)."""
        return self._owner == os.getpid() and self._process.poll() is None

    def decode(self, requests: Sequence[FrameRequest]) -> Iterator[npt.NDArray[np.generic]]:
        """The frames' stored numbers, rows x columns each, in order.

        Raises:
            BadScan: ``undecodable-pixels``, ``decoder-memory``, ``decoder-timeout``, ``decoder-crashed``.
        """
        for number in range(min(_AHEAD, len(requests))):
            self._send(requests[number])
        for number, request in enumerate(requests):
            yield self._receive(request)
            if number + _AHEAD < len(requests):
                self._send(requests[number + _AHEAD])

    def close(self) -> None:
        """End the child."""
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        self._input.close()
        self._output.close()

    def _send(self, request: FrameRequest) -> None:
        try:
            self._input.write(request.to_json())
        except BrokenPipeError:
            raise self._crash(request) from None

    def _receive(self, request: FrameRequest) -> npt.NDArray[np.generic]:
        deadline = time.monotonic() + self._timeout_s
        self._receive_head(request, deadline)
        pixels = np.empty((request.rows, request.columns), request.dtype)
        received, target = 0, pixels.view(np.uint8).reshape(-1)
        while received < target.size:
            part = np.frombuffer(self._read(target.size - received, deadline, request), np.uint8)
            target[received : received + part.size] = part
            received += part.size
        return pixels

    def _receive_head(self, request: FrameRequest, deadline: float) -> None:
        """The line before the pixels: that they have the right shape and type, or why there are none."""
        head = bytearray()
        while not head.endswith(b"\n") and len(head) < _MAX_HEAD:
            head += self._read(1, deadline, request)
        right = {"dtype": request.dtype.str, "shape": [request.rows, request.columns]}
        try:
            answer = json.loads(head)
        except ValueError:
            raise self._crash(request) from None
        if answer != right:
            code = "decoder-memory" if answer == {"error": "memory"} else "undecodable-pixels"
            raise _refusal(request, code, f"frame {request.frame} cannot be decoded to {right}: {answer}")

    def _read(self, count: int, deadline: float, request: FrameRequest) -> bytes:
        """Up to ``count`` bytes, as soon as there are any."""
        if not select.select([self._output], [], [], max(0.0, deadline - time.monotonic()))[0]:
            what = f"frame {request.frame} was not decoded within {self._timeout_s:g} s"
            raise _refusal(request, "decoder-timeout", what)
        part = self._output.read(count)
        if not part:
            raise self._crash(request)
        return part

    def _crash(self, request: FrameRequest) -> BadScan:
        self._process.kill()
        what = f"the decoder ended with status {self._process.wait()} on frame {request.frame} or one after it"
        return _refusal(request, "decoder-crashed", what)


def _refusal(request: FrameRequest, code: str, what: str) -> BadScan:
    return BadScan(code, what, where=request.path, remedy="the file is damaged; fetch or export it again")


_idle: list[Sandbox] = []
_lock = threading.Lock()


def decode_frames(requests: Sequence[FrameRequest]) -> Iterator[npt.NDArray[np.generic]]:
    """The frames' stored numbers, in order, by an idle child of this process (or a new one).

    Raises:
        BadScan: as `Sandbox.decode`.
    """
    with _borrowed() as sandbox:
        yield from sandbox.decode(requests)


@contextmanager
def _borrowed() -> Iterator[Sandbox]:
    with _lock:
        sandbox = _idle.pop() if _idle else None
    if sandbox is not None and not sandbox.is_usable:
        sandbox.close()
        sandbox = None
    sandbox = sandbox or Sandbox()
    try:
        yield sandbox
    except BaseException:
        sandbox.close()  # answers may still be under way: this child can serve nobody else
        raise
    with _lock:
        _idle.append(sandbox)


@atexit.register
def close_idle() -> None:
    """End the idle children of this process."""
    with _lock:
        while _idle:
            _idle.pop().close()
