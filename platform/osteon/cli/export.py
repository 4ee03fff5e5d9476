"""`osteon export`: a case's labels or scan back as a file on the source's own grid."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from osteon.core.errors import BadInput


class What(StrEnum):
    """Which of a case's volumes is written."""

    LABELS = "labels"
    IMAGE = "image"


def export(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3://bucket/prefix of the dataset.")],
    case: Annotated[str, typer.Argument(metavar="CASE", help="Id of the case.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write: .nii.gz, .nii, .mha or .nrrd.")],
    what: Annotated[What, typer.Option(help="The labels, or the scan itself.")] = What.LABELS,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written for machines.")] = False,
) -> None:
    """Write a case's labels, or its scan, on the grid it came from, voxel for voxel.

    Label names are written with it: as segments in .nrrd, in OUTPUT.labels.json beside other formats.
    """
    from osteon.storage.dataset import Dataset
    from osteon.storage.export import write_scan

    stored = Dataset.open(dataset).case(case)
    if what is What.LABELS and not stored.has_labels:
        raise BadInput("no-labels", "the case has no labels", where=case, remedy="export --what image")
    volume = stored.labels() if what is What.LABELS else stored.image()
    array = volume.read((0, 0, 0), volume.grid.shape).result()
    table = stored.table if what is What.LABELS else None
    write_scan(output, array, stored.grid, stored.provenance, table=table)
    if as_json:
        shape = list(stored.provenance.source_grid.shape)
        typer.echo(json.dumps({"case": case, "output": str(output), "what": what.value, "shape": shape}))
    else:
        typer.echo(f"{output}: {what.value} of {case}")
