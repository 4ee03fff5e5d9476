"""The `osteon` command: registers one file per command and turns refusals into one line.

Exit codes: 0 done, 1 nothing done, 2 an argument cannot be used, 3 done except for the quarantined, 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Annotated

import typer
from rich.console import Console

from osteon.cli.cases import cases
from osteon.cli.compare import compare
from osteon.cli.compartments import compartments
from osteon.cli.evaluate import evaluate
from osteon.cli.export import export
from osteon.cli.ingest import ingest
from osteon.cli.jobs import jobs
from osteon.cli.measure import measure
from osteon.cli.models import models
from osteon.cli.phantom import phantom
from osteon.cli.predict import predict
from osteon.cli.prepare import prepare
from osteon.cli.recipes import recipes
from osteon.cli.restore import restore
from osteon.cli.segment import segment
from osteon.cli.serve import serve
from osteon.cli.serve_key import serve_key
from osteon.cli.submit import submit
from osteon.cli.sweep import sweep
from osteon.cli.synthesise import synthesise
from osteon.cli.train import train
from osteon.cli.verify import verify
from osteon.core.errors import BadInput, OsteonError

INTERRUPTED = 130

app = typer.Typer(
    name="osteon",
    help="CT scans in, bone segmentations out: from a folder on a laptop to a hospital archive in S3.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
COMMANDS = (
    phantom,
    synthesise,
    ingest,
    cases,
    verify,
    export,
    prepare,
    models,
    train,
    segment,
    predict,
    serve,
    serve_key,
    submit,
    restore,
    compartments,
    evaluate,
    compare,
    measure,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(recipes, name="recipes")
app.add_typer(sweep, name="sweep")
app.add_typer(jobs, name="jobs")


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"osteon {metadata.version('osteon')}")
        raise typer.Exit


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,  # read by run()
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del debug, version


def run() -> None:
    """Run the command line: the entry point of the `osteon` script."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]  # so it may stand anywhere
    debug = len(arguments) < len(sys.argv) - 1
    try:
        app(arguments)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            _say("interrupted; the same command goes on where it stopped")
        raise
    except Exception as error:  # the last line of defence: people see one line, --debug shows where it came from
        if debug:
            raise
        _say(str(error) if isinstance(error, OsteonError) else _unforeseen(error))
        raise SystemExit(2 if isinstance(error, BadInput) else 1) from None


def _unforeseen(error: Exception) -> str:
    return f"{type(error).__name__}: {error} — run again with --debug to see where"


def _say(line: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(f"osteon: {line}", style="red", markup=False)


if __name__ == "__main__":
    run()
