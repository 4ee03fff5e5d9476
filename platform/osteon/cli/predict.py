"""`osteon predict`: the bones of a whole archive, as a dataset of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from osteon.cli.listing import print_listing
from osteon.cli.options import CaseIds, parse_workers, split_names

if TYPE_CHECKING:
    from osteon.jobs.predict_summary import PredictOutcome, PredictSummary, Status

STATUSES: tuple[Status, ...] = ("planned", "predicted", "skipped", "quarantined")


def predict(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or s3:// URL of a model: RUN/model.")],
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Folder or s3:// URL of the dataset to read.")],
    out: Annotated[str, typer.Option("--out", metavar="URL", help="Folder or s3:// URL of the dataset to write.")],
    cases: CaseIds = None,
    concurrency: Annotated[
        str | None,
        typer.Option(
            "--concurrency", metavar="N|MIN:MAX", help="Workers at once; a range on a growing cluster; all that fit."
        ),
    ] = None,
    cpus: Annotated[
        int | None, typer.Option("--cpus", min=1, help="Processors of each worker; an even share of those there.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option("--gpus", min=0, help="GPUs of each worker, 0.5 for two on one; one where there is.")
    ] = None,
    z_split: Annotated[
        Literal["auto", "off"], typer.Option("--z-split", help="Cut scans that would keep all others waiting.")
    ] = "auto",
    backend: Annotated[
        Literal["auto", "torch", "openvino"], typer.Option("--backend", help="What computes the network.")
    ] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, write nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary for machines.")] = False,
) -> None:
    """Segment every case of a dataset; leaves a dataset of the same scans with the model's labels at URL.

    Cases that are there already are skipped; a bad one is quarantined and the others go on. Run the same command again
    after an interruption. Exit code: 0 all well, 3 some quarantined, 1 nothing done.
    """
    from osteon.jobs.predict import predict as run
    from osteon.jobs.predict import preview
    from osteon.jobs.predict_archive import PredictRequest

    names = None if cases is None else split_names(cases)
    workers = None if concurrency is None else parse_workers(concurrency, "--concurrency")
    request = PredictRequest(model, data, out, names, workers, cpus, gpus, z_split, backend)
    summary = preview(request) if dry_run else run(request, progress=not as_json)
    if as_json:
        typer.echo(summary.model_dump_json(indent=1))
    else:
        _print(summary)
    raise typer.Exit(summary.exit_code)


def _print(summary: PredictSummary) -> None:
    lines = [_line(case) for case in summary.cases if case.status in ("quarantined", "planned")]
    print_listing(lines, summary.dataset, {status: summary.count(status) for status in STATUSES})
    if summary.count("predicted"):
        speed = f"{summary.voxels_per_second / 1e6:.1f} million voxels/s"
        wait = f"workers waited for data {summary.wait_share:.1%} of the time"
        typer.echo(f"{summary.scans_per_hour:.1f} scans/hour, {speed}, {wait}")


def _line(case: PredictOutcome) -> str:
    if case.status == "planned":
        return f"planned: {case.case_id}: {'whole' if case.ranges == 1 else f'{case.ranges} ranges of planes'}"
    remedy = f" — {case.remedy}" if case.remedy else ""
    return f"{case.status}: {case.case_id}: {case.reason} [{case.code}]{remedy}"
