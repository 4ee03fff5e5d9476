"""`osteon restore`: labels of prepared cases back on the scan they were prepared from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from osteon.core.errors import BadInput

if TYPE_CHECKING:
    from osteon.core.chain import Derivation
    from osteon.data.prepare import Part
    from osteon.storage.case import StoredCase


def restore(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3:// URL of the scan's own dataset.")],
    output: Annotated[Path, typer.Argument(metavar="OUTPUT", help="File to write: .nii.gz, .nii, .mha or .nrrd.")],
    labels: Annotated[
        list[str], typer.Argument(metavar="LABELS...", help="Prepared cases of one scan, or .zarr segmented from them.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written for machines.")] = False,
) -> None:
    """Write labels of prepared cases on the grid of their scan's source; left bones get their own labels back.

    Where two of them overlap, the first named keeps its label.
    """
    from osteon.data.prepare import restore_parts
    from osteon.storage.case import open_case
    from osteon.storage.dataset import Dataset
    from osteon.storage.export import write_scan

    cases = [open_case(url) for url in labels]
    derivations = [_derivation(case, url) for case, url in zip(cases, labels, strict=True)]
    names = sorted({derivation.case_id for derivation in derivations})
    if len(names) > 1:
        raise BadInput("several-scans", f"the labels are of {len(names)} scans: {', '.join(names[:5])}")
    source = Dataset.open(dataset).case(names[0])
    if any(not derivation.grid.matches(source.grid) for derivation in derivations):
        what = "the labels were prepared from a scan of this id on another grid"
        raise BadInput("other-source", what, where=f"{dataset}: {names[0]}", remedy="give the dataset they came from")
    parts = [_part(case, derivation) for case, derivation in zip(cases, derivations, strict=True)]
    restored, table = restore_parts(parts, source.grid)
    write_scan(output, restored, source.grid, source.provenance, table=table)
    found = [table.names[int(id_)] for id_ in np.unique(restored) if id_]
    if as_json:
        typer.echo(json.dumps({"case": names[0], "output": str(output), "labels": found}))
    else:
        typer.echo(f"{output}: {', '.join(found) or 'no labels'} of {names[0]}")


def _derivation(case: StoredCase, url: str) -> Derivation:
    derivation = case.provenance.derivation
    if derivation is None:
        remedy = "give cases of a dataset that osteon prepare wrote, or a .zarr that osteon segment made of one"
        raise BadInput("not-prepared", "the case does not say what scan it was prepared from", where=url, remedy=remedy)
    return derivation


def _part(case: StoredCase, derivation: Derivation) -> Part:
    from osteon.data.prepare import Part

    volume = case.labels()
    return Part(volume.read((0, 0, 0), volume.grid.shape).result(), case.table, derivation.chain)
