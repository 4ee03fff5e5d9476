"""`osteon prepare`: from a dataset to one derived from it, as a recipe wants its scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli.listing import print_listing
from osteon.cli.options import CaseIds, Scheduler, Tasks, split_names

if TYPE_CHECKING:
    from osteon.jobs.prepare_summary import PrepareOutcome, PrepareSummary, Status

STATUSES: tuple[Status, ...] = ("planned", "prepared", "skipped", "quarantined")


def prepare(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3:// URL of the dataset to read.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder or s3:// URL of the dataset to write.")],
    recipe: Annotated[
        str, typer.Option("--recipe", metavar="RECIPE", help="A packaged recipe's name, or a YAML file.")
    ],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the recipe.")
    ] = None,
    cases: CaseIds = None,
    labels_from: Annotated[
        str | None,
        typer.Option(
            "--labels-from", metavar="URL", help="Dataset, or folder of CASE.zarr, whose labels show where bones are."
        ),
    ] = None,
    scheduler: Scheduler = "local",
    workers: Tasks = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Write over cases that are damaged or were prepared otherwise.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Find what would be derived, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary for machines.")] = False,
) -> None:
    """Derive a dataset by a recipe's section prepare: crop, split and mirror femurs, resample, cut to a window.

    Cases that are there already are skipped; what cannot be derived is quarantined and the others go on. Run the same
    command again after an interruption. Exit code: 0 all well, 3 some quarantined, 1 nothing done.
    """
    from osteon.jobs.prepare import PrepareRequest, preview
    from osteon.jobs.prepare import prepare as run
    from osteon.recipes.recipe import load_recipe

    spec = load_recipe(recipe, set_ or ()).prepare
    names = None if cases is None else split_names(cases)
    request = PrepareRequest(dataset, out, spec, names, labels_from, replace)
    if dry_run:
        summary = preview(request, shown=not as_json)
    else:
        summary = run(request, scheduler=scheduler, num_workers=workers, shown=not as_json)
    if as_json:
        typer.echo(summary.model_dump_json(indent=1))
    else:
        _print(summary)
    raise typer.Exit(summary.exit_code)


def _print(summary: PrepareSummary) -> None:
    lines = [_line(case) for case in summary.cases if case.status in ("quarantined", "planned")]
    print_listing(lines, summary.dataset, {status: summary.count(status) for status in STATUSES})


def _line(case: PrepareOutcome) -> str:
    if case.shape is not None and case.spacing_mm is not None:
        spacing = " x ".join(f"{size:.3g}" for size in case.spacing_mm)
        return f"{case.status}: {case.case_id}: {' x '.join(map(str, case.shape))} voxels of {spacing} mm"
    remedy = f" — {case.remedy}" if case.remedy else ""
    return f"{case.status}: {case.case_id}: {case.reason} [{case.code}]{remedy}"
