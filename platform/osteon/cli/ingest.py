"""`osteon ingest`: scans of any layout into a dataset, in a folder or in S3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from osteon.jobs.ingest_summary import CaseOutcome, IngestSummary

LISTED = 20  # cases named on screen; --json has them all


def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Scan files, folders, or datasets.")],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3://bucket/prefix to write to.")],
    layout: Annotated[
        str, typer.Option(help="How the sources lie: auto, scans, nnunet, msd, totalsegmentator or verse.")
    ] = "auto",
    labels: Annotated[Path | None, typer.Option(help="Label file or folder of the one scan given.")] = None,
    labels_map: Annotated[Path | None, typer.Option(help="JSON file from label ids to names.")] = None,
    scheduler: Annotated[str, typer.Option(help="local, threads, ray, or a Dask address tcp://host:port.")] = "local",
    workers: Annotated[int | None, typer.Option(min=1, help="Tasks at once; one per core if not given.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write over cases whose source has changed.")] = False,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Resample series with missing slices or a tilted gantry.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary for machines.")] = False,
) -> None:
    """Turn CT scans into a dataset.

    Cases that are there already are skipped; bad scans are quarantined and the others go on. Run the same command
    again after an interruption. Exit code: 0 all well, 3 some quarantined, 1 nothing done.
    """
    from osteon.jobs.ingest import ingest as run_ingest
    from osteon.jobs.ingest_plan import preview
    from osteon.storage.importers import plan_import

    plan = plan_import(sources, layout=layout, labels=labels, labels_map=labels_map)
    if dry_run:
        summary = preview(plan, dataset)
    else:
        summary = run_ingest(
            plan,
            dataset,
            scheduler=scheduler,
            num_workers=workers,
            allow_gaps=allow_gaps,
            replace=replace,
            shown=not as_json,
        )
    if as_json:
        typer.echo(summary.model_dump_json(indent=1))
    else:
        _print(summary)
    raise typer.Exit(summary.exit_code)


def _print(summary: IngestSummary) -> None:
    console = Console(highlight=False)
    refused = [case for case in summary.cases if case.status in ("quarantined", "ignored")]
    if refused:
        console.print(_table(refused[:LISTED]))
    if len(refused) > LISTED:
        console.print(f"… and {len(refused) - LISTED} more; --json lists them all")
    for note in summary.notes[:LISTED]:
        console.print(note, markup=False, style="dim")
    counts = [
        (status, summary.count(status)) for status in ("planned", "ingested", "skipped", "ignored", "quarantined")
    ]
    done = ", ".join(f"{number} {status}" for status, number in counts if number) or "nothing found"
    console.print(f"{summary.dataset}: {done}", markup=False, soft_wrap=True)


def _table(cases: list[CaseOutcome]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("source", "status", "why", "what to do"):
        table.add_column(column, overflow="fold")
    for case in cases:
        table.add_row(
            *(escape(text) for text in (case.source, case.status, f"{case.reason} ({case.code})", case.remedy))
        )
    return table
