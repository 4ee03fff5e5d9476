"""`osteon compare`: several systems judged on the same cases, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from osteon.cli.options import split_names

if TYPE_CHECKING:
    from osteon.evaluation.comparison import Comparison


def compare(
    evaluations: Annotated[
        list[str], typer.Argument(metavar="EVALUATION...", help="Folders or s3:// URLs that osteon evaluate wrote.")
    ],
    out: Annotated[str, typer.Option("--out", metavar="DIR", help="Folder or s3:// URL for the page.")],
    bones: Annotated[
        str, typer.Option("--bones", metavar="A,B", help="Bones of the confusion matrices, by commas.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON.")] = False,
) -> None:
    """Compare evaluations on their common cases; leaves comparison.html and comparison.json in DIR."""
    from osteon.evaluation.comparison import compare_reports
    from osteon.evaluation.comparison_page import COMPARISON_HTML, name_systems, read_evaluation, write_comparison

    named = name_systems([read_evaluation(url) for url in evaluations])
    comparison = compare_reports({name: each.report for name, each in named.items()}, split_names(bones))
    write_comparison(comparison, named, out)
    if as_json:
        print(comparison.model_dump_json())
    else:
        _show(comparison)
        print(f"the page is in {out.rstrip('/')}/{COMPARISON_HTML}")


def _show(comparison: Comparison) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("system", "Dice", "mIoU", "MPA", "HD mm", "median Dice above 0", "above 0")
    for row in comparison.systems:
        middle = row.dsc_median.median
        table.add_row(
            row.name,
            f"{row.dsc.mean:.3f}" + ("" if row.dsc.sd is None else f" ± {row.dsc.sd:.3f}"),
            f"{row.mean_iou.mean:.3f}",
            f"{row.mean_accuracy.mean:.3f}",
            "–" if row.hd_mm is None else f"{row.hd_mm:.1f}",
            "–" if middle is None else f"{middle:.3f}",
            f"{row.nonzero_share:.1%}",
        )
    Console().print(table)
