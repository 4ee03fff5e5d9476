"""`osteon recipes`: what comes packaged, and what is in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.cli.options import check_new_file

recipes = typer.Typer(help="Packaged recipes.", invoke_without_command=True)


@recipes.callback()
def list_recipes(context: typer.Context) -> None:
    """List the packaged recipes, one line each."""
    from osteon.recipes.recipe import load_recipe, packaged_recipes

    if context.invoked_subcommand is None:
        for name in packaged_recipes():
            print(f"{name:28} {load_recipe(name).description}")


@recipes.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A packaged recipe's name, or a YAML file.")],
) -> None:
    """Print every value of a recipe with what it means, as YAML that can be edited and trained with."""
    from osteon.recipes.recipe import load_recipe

    print(load_recipe(name).to_documented_yaml(), end="")


@recipes.command()
def nnunet(
    data: Annotated[str, typer.Option("--data", metavar="DATASET", help="Folder or s3:// URL of the dataset.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the recipe there instead of printing it.")
    ] = None,
    memory_gb: Annotated[
        float, typer.Option("--memory-gb", min=1, help="Memory of the accelerator that a step may fill.")
    ] = 8,
) -> None:
    """Derive a recipe from a dataset as nnU-Net configures its 3d_fullres network: grid, patch, network, batch."""
    from osteon.recipes.configure import configure
    from osteon.storage.dataset import Dataset

    if out:
        check_new_file(out)
    dataset = Dataset.open(data)
    name = out.stem if out else f"nnunet-{dataset.name}"
    recipe = configure(dataset.catalog(), dataset.fingerprint(), name=name, memory_gb=memory_gb)
    text = recipe.to_documented_yaml()
    if out is None:
        print(text, end="")
    else:
        out.write_text(text, "utf-8")
        print(f"{recipe.description} It is in {out}")
