"""`osteon models`: what the networks of the packaged recipes cost."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from osteon.recipes.cost import Cost


def models(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[RECIPE]...", help="Recipes to list; by default all packaged ones.")
    ] = None,
    bones: Annotated[int, typer.Option("--bones", min=1, help="How many bones the networks tell apart.")] = 1,
    timed: Annotated[
        bool, typer.Option("--time/--no-time", help="Measure a patch of each on this machine; takes minutes.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table for machines.")] = False,
) -> None:
    """List parameters, operations per patch and time per patch of the packaged recipes' networks."""
    from osteon.recipes.cost import cost_of
    from osteon.recipes.recipe import load_recipe, packaged_recipes
    from osteon.telemetry.progress import progress_bar

    recipes = [load_recipe(name) for name in names or packaged_recipes()]
    costs = []
    with progress_bar("models", len(recipes), shown=not as_json and sys.stderr.isatty()) as bar:
        for recipe in recipes:
            costs.append(cost_of(recipe, 1 + bones, timed=timed))
            bar.advance(note=recipe.name)
    if as_json:
        print(json.dumps([cost.model_dump(mode="json") for cost in costs], indent=1))
        return
    Console(highlight=False).print(_table(costs))
    print(_legend(costs, bones))


def _table(costs: list[Cost]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("recipe", "network", "patch z y x", "parameters", "GFLOP", "ms"):
        table.add_column(column, justify="left" if column in ("recipe", "network") else "right", no_wrap=True)
    for cost in costs:
        views = f"{cost.num_views} × " if cost.num_views > 1 else ""
        table.add_row(
            cost.name,
            cost.architecture,
            views + " ".join(str(side) for side in cost.patch_shape),
            f"{cost.num_parameters:,}",
            f"{cost.gflop:,.0f}",
            "-" if cost.ms is None else f"{cost.ms:,.0f}",
        )
    return table


def _legend(costs: list[Cost], bones: int) -> str:
    engines = sorted({cost.engine for cost in costs if cost.engine})
    measured = f", measured here with {' and '.join(engines)}" if engines else ""
    classes = "1 bone" if bones == 1 else f"{bones} bones"
    return f"per patch, for {classes} and background{measured}"
