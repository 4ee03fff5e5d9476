"""`osteon models`: the table, for people and for machines."""

import json

import typer
from typer.testing import CliRunner

from osteon.cli.models import models
from osteon.recipes.recipe import packaged_recipes

app = typer.Typer()
app.command()(models)


def test_lists_every_packaged_recipe_with_its_counts() -> None:
    done = CliRunner().invoke(app, ["--no-time"], env={"COLUMNS": "160"})
    assert done.exit_code == 0
    head, *rows, legend = done.output.splitlines()
    assert head.split() == ["recipe", "network", "patch", "z", "y", "x", "parameters", "GFLOP", "ms"]
    assert tuple(row.split()[0] for row in rows) == packaged_recipes()
    nnunet = next(row.split() for row in rows if row.startswith("nnunet "))
    assert nnunet == ["nnunet", "nnunet", "128", "128", "128", "31,191,112", "954", "-"]
    assert legend == "per patch, for 1 bone and background"


def test_gives_the_recipes_asked_for_to_machines() -> None:
    done = CliRunner().invoke(app, ["schnider2022-mrn", "--no-time", "--bones", "125", "--json"])
    (cost,) = json.loads(done.output)
    assert (cost["name"], cost["num_views"], cost["patch_shape"]) == ("schnider2022-mrn", 2, [64, 64, 64])
    assert cost["ms"] is None
    one = json.loads(CliRunner().invoke(app, ["schnider2022-mrn", "--no-time", "--json"]).output)[0]
    assert cost["num_parameters"] > one["num_parameters"]
