"""The `osteon` command: registers one file per command and turns refusals into one line.

Exit codes: 0 done, 1 nothing done, 2 an argument cannot be used, 3 done except for the quarantined, 130 interrupted.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from osteon.core.errors import BadInput, OsteonError

app = typer.Typer(
    name="osteon",
    help="CT scans in, bone segmentations out: from a folder on a laptop to a hospital archive in S3.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = {"debug": debug}


def run() -> None:
    """Run the command line: the entry point of the `osteon` script."""
    debug = "--debug" in sys.argv
    try:
        app()
    except OsteonError as error:
        _fail(error, str(error), 2 if isinstance(error, BadInput) else 1, debug)
    except KeyboardInterrupt as error:
        _fail(error, "interrupted; run the same command again to go on", 130, debug)


def _fail(error: BaseException, line: str, code: int, debug: bool) -> None:
    if debug:
        raise error
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"osteon: {line}", style="red", markup=False)
    raise SystemExit(code)


if __name__ == "__main__":
    run()
