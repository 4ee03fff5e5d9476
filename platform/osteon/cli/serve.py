"""`osteon serve`: segmentation over HTTP, on a laptop as on a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.core.errors import OsteonError

if TYPE_CHECKING:
    pass

DEFAULT_STORE = "osteon-service"


def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL...", help="Folders or s3:// URLs of models, or NAME=URL; the first is the default."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; others than loopback want keys.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=1, max=65535, help="Port to listen on.")] = 8000,
    store: Annotated[
        str | None,
        typer.Option(
            "--store", metavar="URL", help=f"Folder or s3:// URL for requests and results.  [default: {DEFAULT_STORE}]"
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="FILE", help="Who may enter; see osteon serve-key.")
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option("--allow", metavar="PREFIX", help="Scans may be named by URLs that begin so; may be repeated."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="YAML with these and all other settings.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check models and settings, show them, start nothing.")
    ] = False,
) -> None:
    """Answer segmentation requests over HTTP until Ctrl-C; what was accepted is kept and done, also after a restart."""
    try:
        from osteon.jobs.ray_session import ray_session
        from osteon.serve.running import check, serving, settings_from
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("osteon"):
            raise
        remedy = "install it: pip install 'osteon[serve]'"
        raise OsteonError("not-installed", f"serving needs {error.name}", remedy=remedy) from None

    settings = settings_from(config, models or (), store or (None if config else DEFAULT_STORE), keys, allow or ())
    check(settings, host, port)
    if dry_run:
        print(settings.model_dump_json(indent=2))
        return
    with ray_session(), serving(settings, host, port) as address:
        print(f"{', '.join(settings.models)} at {address}; Ctrl-C ends it, and what was accepted is kept", flush=True)
        _wait()


def _wait() -> None:
    import signal
    import threading

    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    try:
        while not ended.wait(1.0):
            pass
    except KeyboardInterrupt:
        return
