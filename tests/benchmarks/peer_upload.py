"""How fast uvicorn alone takes a body in: a server that writes what is put to a file, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

START_S = 60.0


@contextmanager
def bare_uvicorn(file: Path, port: int) -> Iterator[str]:
    """The server, at work; the URL to put to."""
    process = subprocess.Popen([sys.executable, __file__, str(file), str(port)])
    url, until = f"http://127.0.0.1:{port}/put", time.monotonic() + START_S
    try:
        while not _answers(url):
            assert process.poll() is None, "it ended"
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def main() -> None:
    """Serve until terminated."""
    file, port = Path(sys.argv[1]), int(sys.argv[2])

    async def put(request: Request) -> Response:
        with file.open("wb") as kept:
            async for piece in request.stream():
                kept.write(piece)
        return Response(status_code=204)

    uvicorn.run(Starlette(routes=[Route("/put", put, methods=["PUT"])]), port=port, log_level="error")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 405  # it takes only PUT
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main()
