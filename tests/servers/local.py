"""A segmentation service on a real socket of this process: everything but Ray."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from seaweed import free_ports
from starlette.types import ASGIApp

START_S = 60.0


@contextmanager
def serve_locally(app: ASGIApp, port: int | None = None) -> Iterator[str]:
    """Its address, while it answers."""
    port = port or free_ports(1)[0]
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + START_S
        while not server.started:
            assert thread.is_alive(), "it does not start"
            assert time.monotonic() < until, "it does not answer"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()
