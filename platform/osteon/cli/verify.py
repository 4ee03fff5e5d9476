"""`osteon verify`: is everything in a dataset still what was written."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from osteon.cli.listing import LISTED, not_listed

if TYPE_CHECKING:
    from osteon.storage.verify import VerifyReport


def verify(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3:// URL of the dataset.")],
    repair: Annotated[
        bool, typer.Option("--repair", help="Rebuild the catalog and the fingerprint from the cases.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report for machines.")] = False,
) -> None:
    """Read every byte of a dataset and compare it with what was written.

    Exit code: 0 all is sound, 1 something is damaged or lost.
    """
    from osteon.storage.dataset import Dataset
    from osteon.storage.verify import verify as run
    from osteon.telemetry.progress import progress_bar

    total = len(Dataset.open(dataset).folders())
    with progress_bar("verify", total, shown=not as_json and sys.stderr.isatty()) as bar:
        report = run(dataset, repair=repair, on_progress=lambda case_id: bar.advance(note=case_id))
    if as_json:
        typer.echo(report.model_dump_json(indent=1))
    else:
        _print(report)
    raise typer.Exit(0 if report.is_sound else 1)


def _print(report: VerifyReport) -> None:
    console = Console(highlight=False)
    if report.problems:
        console.print(_problems(report))
    if len(report.problems) > LISTED:
        console.print(not_listed(len(report.problems)))
    for leftover in report.leftovers:
        size = f"{leftover.num_objects} objects, {leftover.num_bytes / 1e6:.1f} MB"
        console.print(f"{leftover.case_id}: not committed: {size}; ingest its source again to go on", markup=False)
    console.print(_sentence(report), markup=False, soft_wrap=True)


def _problems(report: VerifyReport) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("case", "object", "code", "found"):
        table.add_column(column, overflow="fold")
    for problem in report.problems[:LISTED]:
        table.add_row(*(escape(text) for text in (problem.case_id, problem.key, problem.code, problem.detail)))
    return table


def _sentence(report: VerifyReport) -> str:
    found = f"{len(report.problems)} problems" if report.problems else "all sound"
    catalog = "rebuilt" if report.repaired else report.catalog.value
    advice = "" if report.repaired or catalog == "fresh" else " (osteon verify --repair rebuilds it)"
    size = f"{report.num_cases} cases, {report.num_bytes / 1e6:.1f} MB"
    return f"{report.url}: {size}: {found}; catalog {catalog}{advice}"
