"""`osteon cases`: what is in a dataset."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from osteon.storage.catalog import CatalogRow


def cases(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Folder or s3:// URL of the dataset.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the catalog for machines.")] = False,
) -> None:
    """List the committed cases of a dataset."""
    from osteon.storage.dataset import Dataset

    opened = Dataset.open(dataset)
    rows = opened.catalog()
    if as_json:
        typer.echo(json.dumps([asdict(row) for row in rows], indent=1))
        return
    console = Console(highlight=False)
    if rows:
        console.print(_table(rows))
    size = sum(row.num_bytes for row in rows) / 1e6
    console.print(f"{opened.name}: {len(rows)} cases, {size:.1f} MB, {len(opened.table)} labels", markup=False)


def _table(rows: list[CatalogRow]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("case", "voxels z y x", "spacing mm", "labels", "levels", "from", "MB"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(
            escape(row.case_id),
            " ".join(str(n) for n in row.shape),
            " ".join(f"{size:g}" for size in row.spacing_mm),
            str(len(row.labels)) if row.has_labels else "-",
            str(row.num_levels),
            escape(row.source_format),
            f"{row.num_bytes / 1e6:.1f}",
        )
    return table
