"""The decoding child: limits that hold, and a parent that lives on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from pydicom import uid

from osteon.core.errors import BadScan
from osteon.storage.readers import sandbox
from osteon.storage.readers.dicom_slices import read_slices
from osteon.storage.readers.sandbox import FrameRequest, Sandbox, close_idle, decode_frames

Hu = npt.NDArray[np.int16]
MIB = 1 << 20


@pytest.fixture
def request_of(write_series: Callable[..., Path], hu: Hu) -> FrameRequest:
    """A request for the one slice of an RLE file whose stored numbers are ``hu[0] + 24``."""
    file = next(write_series(hu[:1], lambda dataset, _number: dataset.compress(uid.RLELossless)).iterdir())
    [frame] = read_slices(file) or ()
    layout = frame.layout
    return FrameRequest(str(file), layout.offset, layout.syntax, 0, layout.rows, layout.columns, 1, 16, 16, signed=True)


@pytest.fixture(autouse=True)
def no_children_left() -> Iterator[None]:
    close_idle()
    yield
    close_idle()


def code_of(child: Sandbox, request: FrameRequest) -> str:
    with pytest.raises(BadScan) as caught:
        list(child.decode([request]))
    assert caught.value.where == request.path
    child.close()
    return caught.value.code


def test_one_child_decodes_many_frames(request_of: FrameRequest, hu: Hu) -> None:
    frames = list(decode_frames([request_of] * 20))
    assert len(frames) == 20
    for frame in frames:
        np.testing.assert_array_equal(frame, hu[0] + 24)


def test_the_child_is_kept_for_the_next_scan(request_of: FrameRequest) -> None:
    list(decode_frames([request_of]))
    [first] = sandbox._idle
    list(decode_frames([request_of]))
    assert sandbox._idle == [first]


def test_a_child_that_was_killed_is_replaced(request_of: FrameRequest, hu: Hu) -> None:
    list(decode_frames([request_of]))
    os.kill(sandbox._idle[0]._process.pid, signal.SIGKILL)
    sandbox._idle[0]._process.wait()
    np.testing.assert_array_equal(next(iter(decode_frames([request_of]))), hu[0] + 24)


def test_a_crash_while_decoding_is_a_refusal(request_of: FrameRequest) -> None:
    child = Sandbox()
    os.kill(child._process.pid, signal.SIGKILL)
    assert code_of(child, request_of) == "decoder-crashed"


def test_a_child_that_hangs_is_given_up(request_of: FrameRequest) -> None:
    child = Sandbox(timeout_s=0.2)
    os.kill(child._process.pid, signal.SIGSTOP)
    started = time.monotonic()
    assert code_of(child, request_of) == "decoder-timeout"
    assert time.monotonic() - started < 5


def test_memory_is_limited(request_of: FrameRequest) -> None:
    child = Sandbox(memory_bytes=512 * MIB)
    huge = replace(request_of, rows=30000, columns=30000)
    assert code_of(child, huge) in {"decoder-memory", "undecodable-pixels"}


def test_bytes_that_are_no_frame_are_a_refusal(request_of: FrameRequest) -> None:
    assert code_of(Sandbox(), replace(request_of, offset=0)) == "undecodable-pixels"


def test_a_frame_of_another_shape_is_a_refusal(request_of: FrameRequest) -> None:
    assert code_of(Sandbox(), replace(request_of, rows=request_of.rows + 1)) == "undecodable-pixels"


def test_the_child_sees_no_credentials(request_of: FrameRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    child = Sandbox()
    list(child.decode([request_of]))
    environment = Path(f"/proc/{child._process.pid}/environ").read_bytes()
    child.close()
    assert b"hush" not in environment


def test_the_child_cannot_write_files(request_of: FrameRequest) -> None:
    child = Sandbox()
    list(child.decode([request_of]))
    limits = Path(f"/proc/{child._process.pid}/limits").read_text()
    child.close()
    by_name = {line[:26].strip(): line[26:].split()[0] for line in limits.splitlines()}
    assert by_name["Max file size"] == "0"
    assert by_name["Max core file size"] == "0"
    assert by_name["Max address space"] == str(sandbox.MEMORY_BYTES)


def _decode_in_daemon(request: FrameRequest, queue: multiprocessing.Queue[int]) -> None:
    queue.put(int(next(iter(decode_frames([request]))).sum()))
    close_idle()


def test_a_daemonic_worker_may_decode(request_of: FrameRequest, hu: Hu) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[int] = context.Queue()
    list(decode_frames([request_of]))  # the fork inherits an idle child that it must not use
    worker = context.Process(target=_decode_in_daemon, args=(request_of, queue), daemon=True)
    worker.start()
    assert queue.get(timeout=30) == int((hu[0] + 24).sum())
    worker.join()
    np.testing.assert_array_equal(next(iter(decode_frames([request_of]))), hu[0] + 24)
