"""The process that decodes compressed frames: a stranger's bytes meet C decoders here and nowhere else.

Runs as a script with the interpreter of its parent. Reads one JSON request per line, answers with one JSON line and
the raw pixels. It drops memory, file writes and core dumps before the first request, and imports nothing of Osteon.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
import warnings
from typing import Any

import numpy as np
from pydicom.pixels.decoders.base import get_decoder


def main(memory_bytes: int) -> None:
    """Answer requests until standard input closes."""
    warnings.simplefilter("ignore")
    logging.disable()
    for kind, limit in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        resource.setrlimit(kind, (limit, limit))
    for line in sys.stdin.buffer:
        _answer(json.loads(line))


def _answer(request: dict[str, Any]) -> None:
    try:
        pixels = _decode(**request)
        head: dict[str, object] = {"dtype": pixels.dtype.str, "shape": list(pixels.shape)}
    except MemoryError:
        pixels, head = np.empty(0), {"error": "memory"}
    except Exception as error:  # whatever a decoder throws means that the frame cannot be read
        pixels, head = np.empty(0), {"error": type(error).__name__}
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + pixels.tobytes())
    sys.stdout.buffer.flush()


def _decode(path: str, offset: int, syntax: str, frame: int, options: dict[str, Any]) -> np.ndarray[Any, Any]:
    with open(path, "rb") as file:  # noqa: PTH123  # one call, in a script that keeps its imports few
        file.seek(offset)
        decoder = get_decoder(syntax)
        pixels, _ = decoder.as_array(file, index=frame, raw=True, **options)
    return np.ascontiguousarray(pixels)


if __name__ == "__main__":
    main(int(sys.argv[1]))
