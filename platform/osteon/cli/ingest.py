"""`osteon ingest`: scans of any layout into a dataset, in a folder or in S3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli.listing import print_listing
from osteon.cli.options import Scheduler, Tasks

if TYPE_CHECKING:
    from osteon.jobs.ingest_summary import CaseOutcome, IngestSummary, Status

STATUSES: tuple[Status, ...] = ("planned", "ingested", "skipped", "ignored", "quarantined")


def ingest(
    sources: Annotated[list[Path], typer.Argument(metavar="SOURCE...", help="Scan files, folders, or datasets.")],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3://bucket/prefix to write to.")],
    layout: Annotated[
        str, typer.Option(help="How the sources lie: auto, scans, nnunet, msd, totalsegmentator or verse.")
    ] = "auto",
    labels: Annotated[Path | None, typer.Option(help="Label file or folder of the one scan given.")] = None,
    labels_map: Annotated[Path | None, typer.Option(help="JSON file from label ids to names.")] = None,
    scheduler: Scheduler = "local",
    workers: Tasks = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over cases that are damaged or whose source has changed.")
    ] = False,
    allow_gaps: Annotated[
        bool, typer.Option("--allow-gaps", help="Resample gappy or tilted series, and labels on another grid.")
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
    refused = [case for case in summary.cases if case.status in ("quarantined", "ignored")]
    lines = [*(_line(case) for case in refused), *(f"passed over: {note}" for note in summary.notes)]
    print_listing(lines, summary.dataset, {status: summary.count(status) for status in STATUSES})


def _line(case: CaseOutcome) -> str:
    remedy = f" — {case.remedy}" if case.remedy else ""
    return f"{case.status}: {case.source}: {case.reason} [{case.code}]{remedy}"
