"""`osteon recipes`: what comes packaged, and what is in it."""

from __future__ import annotations

from typing import Annotated

import typer

recipes = typer.Typer(help="Packaged recipes.", invoke_without_command=True)


@recipes.callback()
def list_recipes(context: typer.Context) -> None:
    """List the packaged recipes, one line each."""
    from osteon.recipes.recipe import load_recipe, packaged_recipes

    if context.invoked_subcommand is None:
        for name in packaged_recipes():
            print(f"{name:12} {load_recipe(name).description}")


@recipes.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A packaged recipe's name, or a YAML file.")],
) -> None:
    """Print every value of a recipe with what it means, as YAML that can be edited and trained with."""
    from osteon.recipes.recipe import load_recipe

    print(load_recipe(name).to_documented_yaml(), end="")
