"""`osteon sweep`: which network, loss or patch is best, by cross-validation; and the best one as a model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from osteon.evaluation.sweep import SweepReport
    from osteon.jobs.sweep_plan import SweepPlan

SOME_FAILED = 3
LISTED = 10  # configurations on screen; the page has them all


class _RunByDefault(TyperGroup):
    """`osteon sweep FILE` is `osteon sweep run FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """A first word that is neither a command nor an option is the sweep's file."""
        named = [word for word in args if not word.startswith("-")]
        if named and named[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


sweep = typer.Typer(cls=_RunByDefault, no_args_is_help=True)


@sweep.callback()
def _about() -> None:
    """Find the best configuration by cross-validation: `osteon sweep SWEEP.yaml --data DATASET --out URL`."""


@sweep.command()
def run(
    file: Annotated[str, typer.Argument(metavar="SWEEP", help="A packaged sweep's name, or a YAML file.")],
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Folder or s3:// URL of the dataset.")],
    out: Annotated[str, typer.Option("--out", metavar="URL", help="Folder or s3:// URL the sweep is kept in.")],
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on: trials that are over are not run again; begin, if there is no sweep."),
    ] = False,
    mlflow: Annotated[
        str | None,
        typer.Option("--mlflow", metavar="URI", help="Also log every trial to this MLflow server or folder."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check everything, print the plan, run nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train and judge every configuration on every fold; leaves results.parquet and sweep.html in URL.

    Exit code: 0 all well, 3 some trials failed; --resume tries those again.
    """
    from osteon.jobs.sweep import SweepRequest, preview
    from osteon.jobs.sweep import sweep as start

    request = SweepRequest(file, data, out, resume, mlflow)
    if dry_run:
        _print_plan(preview(request), as_json)
        return
    try:
        report = start(request, progress=not as_json)
    except KeyboardInterrupt:
        print("osteon: go on with --resume; trials that are over are kept", file=sys.stderr)
        raise
    failed = [trial for trial in report.trials if trial.status == "failed"]
    if as_json:
        print(report.model_dump_json())
    else:
        _print_report(report, out)
    for trial in failed:
        print(f"osteon: {trial.configuration}, fold {trial.fold}: {trial.error}", file=sys.stderr)
    if failed:
        raise typer.Exit(SOME_FAILED)


@sweep.command("best")
def best(
    folder: Annotated[str, typer.Argument(metavar="SWEEP", help="Folder or s3:// URL of a sweep.")],
    out: Annotated[str, typer.Option("--out", metavar="MODEL", help="Folder or s3:// URL for the model.")],
    refit: Annotated[
        bool, typer.Option("--refit", help="Train anew on the cases of all folds, instead of joining their models.")
    ] = False,
    configuration: Annotated[
        str | None, typer.Option("--configuration", metavar="ID", help="Another one than the best: c003.")
    ] = None,
) -> None:
    """Make a model of the best configuration: the ensemble of its folds, or one trained on all of them."""
    from osteon.jobs.sweep_best import best_model

    chosen = best_model(folder, out, configuration=configuration, anew=refit, progress=True)
    kind = "trained anew" if refit else "the ensemble of its folds"
    print(f"{chosen.id} ({chosen.title}), {kind}: the model is in {out}")


def _print_plan(plan: SweepPlan, as_json: bool) -> None:
    record = plan.record
    if as_json:
        print(record.model_dump_json())
        return
    print(
        f"dataset {record.dataset}: {len(record.learnt)} cases of {plan.patients} patients in {len(record.folds)} folds"
    )
    for number in record.chosen:
        fold = record.folds[number]
        print(f"fold {number}: {len(fold.training)} to learn from, judged by {', '.join(fold.validation)}")
    print(f"held out: {', '.join(record.test) or 'none'}")
    print(f"{len(record.labels)} bones: {', '.join(record.labels.values())}")
    for configuration in plan.configurations:
        print(f"{configuration.id}: {configuration.title}")
    print(f"{plan.num_configurations} configurations, {plan.num_trials} trials")


def _print_report(report: SweepReport, out: str) -> None:
    from osteon.evaluation.page import format_score
    from osteon.jobs.sweep_folder import PAGE

    for row in [row for row in report.configurations if row.dice is not None][:LISTED]:
        title = ", ".join(f"{axis} {value}" for axis, value in row.values.items())
        place = f"{row.rank}." if row.rank else "–"
        spread = f" ± {row.dice.sd:.3f}" if row.dice and row.dice.sd is not None else ""
        print(
            f"{place} {row.configuration}: Dice {format_score(row.dice.mean if row.dice else None)}{spread} ({title})"
        )
    if report.test is not None:
        print(f"on {report.test.cases} held-out cases: ensemble Dice {format_score(report.test.dice.mean)}")
    counts = {name: sum(trial.status == name for trial in report.trials) for name in ("done", "stopped", "failed")}
    told = ", ".join(f"{number} {name}" for name, number in counts.items() if number)
    print(f"{len(report.trials)} trials: {told}; the results are in {out.rstrip('/')}/{PAGE}")
