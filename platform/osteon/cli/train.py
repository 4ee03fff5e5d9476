"""`osteon train`: from a recipe and a dataset to a model."""

from __future__ import annotations

import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli.options import parse_workers

if TYPE_CHECKING:
    from osteon.jobs.train import TrainSummary
    from osteon.jobs.train_plan import TrainPlan
    from osteon.jobs.train_share import Workers


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A packaged recipe's name, or a YAML file.")],
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Folder or s3:// URL of the dataset.")],
    out: Annotated[str, typer.Option("--out", metavar="RUN", help="Folder or s3:// URL the run is kept in.")],
    workers: Annotated[
        str, typer.Option("--workers", metavar="N|MIN:MAX", help="How many workers; a range on a growing cluster.")
    ] = "1",
    cpus: Annotated[
        int | None, typer.Option("--cpus", min=1, help="Processors of each worker; an even share of those there.")
    ] = None,
    gpus: Annotated[
        float | None, typer.Option("--gpus", min=0, help="GPUs of each worker; one where there is any.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Replace one value of the recipe.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the run's last whole checkpoint; begin, if there is no run.")
    ] = False,
    mlflow: Annotated[
        str | None, typer.Option("--mlflow", metavar="URI", help="Also log to this MLflow server or folder.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything, print the plan, train nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Train a network on a dataset; leaves a MONAI bundle in RUN/model."""
    from osteon.jobs.train import TrainRequest, preview
    from osteon.jobs.train import train as start
    from osteon.jobs.train_share import Share

    share = Share(_workers(workers), cpus, gpus)
    request = TrainRequest(recipe, data, out, tuple(set_ or ()), share, resume, mlflow)
    if dry_run:
        _print_plan(preview(request), as_json)
        return
    try:
        summary = start(request, progress=not as_json)
    except KeyboardInterrupt:
        print("osteon: go on from the last checkpoint with --resume", file=sys.stderr)
        raise
    print(json.dumps(dataclasses.asdict(summary)) if as_json else _sentence(summary))


def _workers(text: str) -> Workers:
    fewest, most = parse_workers(text, "--workers")
    return (fewest, most) if ":" in text else fewest


def _print_plan(plan: TrainPlan, as_json: bool) -> None:
    record = plan.record
    if as_json:
        print(
            json.dumps(
                {**record.model_dump(mode="json"), **{"num_parameters": plan.num_parameters, "unseen": plan.unseen}}
            )
        )
        return
    print(record.recipe.to_yaml())
    print(f"dataset {record.dataset}")
    print(f"training on {len(record.training)} cases: {', '.join(record.training)}")
    print(
        f"validation on {len(record.validation)} cases: {', '.join(record.validation) or 'none; the last step is kept'}"
    )
    print(f"{len(record.labels)} bones: {', '.join(record.labels.values())}")
    if plan.unseen:
        print(f"only in validation cases, so not learnt: {', '.join(plan.unseen)}")
    print(f"{plan.num_parameters:,} parameters")


def _sentence(summary: TrainSummary) -> str:
    dice = "no validation cases" if summary.dice is None else f"validation Dice {summary.dice:.4f}"
    return (
        f"trained {summary.steps} steps in {summary.elapsed_s / 60:.1f} minutes, {dice} at step {summary.best_step}, "
        f"{len(summary.bones)} bones; the model is in {summary.model}"
    )
