"""`osteon evaluate`: how well a model does on labelled cases."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from osteon.cli.options import CaseIds, split_names

if TYPE_CHECKING:
    from osteon.evaluation.summary import Report


SOME_UNREADABLE = 3


def evaluate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Folder or s3:// URL of a model: RUN/model.")],
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Folder or s3:// URL of the dataset.")],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder or s3:// URL for the report.")],
    cases: CaseIds = None,
    split: Annotated[
        Literal["validation", "test", "all"] | None,
        typer.Option(
            "--split",
            help="The cases held out in training (the default), those not used in it at all, or all with labels.",
        ),
    ] = None,
    backend: Annotated[
        Literal["auto", "torch", "openvino"], typer.Option("--backend", help="What computes the network.")
    ] = "auto",
    tolerance_mm: Annotated[
        float, typer.Option("--tolerance-mm", help="Up to which distance a surface counts as right.")
    ] = 3.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report, without its cases' details, as JSON.")
    ] = False,
) -> None:
    """Segment labelled cases and compare with their labels; leaves report.json and report.html in DIR.

    Exit code: 0 all well, 3 some cases could not be read.
    """
    from osteon.jobs.evaluate import evaluate as run

    names = None if cases is None else split_names(cases)
    report = run(
        model,
        data,
        names,
        out,
        split=split,
        backend=backend,
        tolerance_mm=tolerance_mm,
        progress=not as_json,
    )
    if as_json:
        print(json.dumps({"out": out, **report.model_dump(mode="json", exclude={"details"})}))
    else:
        print(_sentence(report, out))
    unreadable = report.facts.unreadable if report.facts else {}
    for reason in unreadable.values():
        print(f"osteon: {reason}", file=sys.stderr)
    if unreadable:
        raise typer.Exit(SOME_UNREADABLE)


def _sentence(report: Report, out: str) -> str:
    from osteon.evaluation.page import format_mm, format_score
    from osteon.evaluation.report import REPORT_HTML

    overall = report.overall
    cases = "1 case" if len(report.cases) == 1 else f"{len(report.cases)} cases"
    return (
        f"mean Dice {format_score(overall.dsc.mean)} over {overall.dsc.count} bones in {cases}, "
        f"median HD95 {format_mm(overall.hd95_mm.median)} mm, {report.missed} missed, "
        f"{report.false_positives} false positive; the report is in {out.rstrip('/')}/{REPORT_HTML}"
    )
