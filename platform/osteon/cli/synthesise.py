"""`osteon synthesise`: labels in, a dataset of training scans out."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli.options import split_names
from osteon.core.errors import BadInput

if TYPE_CHECKING:
    from osteon.core.geometry import Vector3


def synthesise(
    labels: Annotated[
        str, typer.Argument(metavar="LABELS", help="A dataset, a label file, or a folder of masks or label files.")
    ],
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3://bucket/prefix to write to.")],
    cases: Annotated[int, typer.Option(help="How many scans.")] = 16,
    seed: Annotated[int, typer.Option(help="The same seed gives the same scans on every machine.")] = 0,
    spacing_mm: Annotated[
        str, typer.Option("--spacing-mm", help="Voxel size: 3, or 5,0.8,0.8 (z, y, x); drawn for each if not given.")
    ] = "",
    bones: Annotated[str, typer.Option(help="Bones to label, comma-separated; all if not given.")] = "",
    merge: Annotated[str, typer.Option(help="Count a structure as part of another: vertebrae_S1=sacrum,…")] = "",
    labels_map: Annotated[Path | None, typer.Option(help="JSON file from label ids to names.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes; one per core if not given.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a summary for machines.")] = False,
) -> None:
    """Draw CT scans of labelled bodies, each lying, built and scanned otherwise, labelled to the voxel.

    Structures that are no bones (organs, vessels, muscles) are drawn and not labelled. Run the same command again
    after an interruption; what is there is skipped.
    """
    from osteon.jobs.label_sources import find_bodies, parse_merges
    from osteon.jobs.synthesise import Synthesis, run_synthesis

    plan = Synthesis(
        find_bodies(labels, labels_map), cases, seed, _spacing(spacing_mm), split_names(bones), parse_merges(merge)
    )
    summary = run_synthesis(plan, dataset, num_workers=workers, shown=not as_json)
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(summary), indent=1))
    else:
        written = sum(case.status == "written" for case in summary.cases)
        typer.echo(
            f"{summary.dataset}: {written} scans written, {cases - written} skipped, {len(summary.bones)} bones, "
            f"seed {seed}, {summary.seconds:.0f} s"
        )


def _spacing(text: str) -> Vector3 | None:
    if not text:
        return None
    try:
        numbers = [float(number) for number in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 3):
        raise BadInput(
            "synthesis-spacing", f"{text!r} is no voxel size", where="--spacing-mm", remedy="say 3, or 5,0.8,0.8"
        )
    z, y, x = numbers * (3 // len(numbers))
    return (z, y, x)
