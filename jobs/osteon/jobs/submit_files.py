"""The small files of settings that a job names and that go along with it; scans and models never do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.recipes.recipe import load_recipe
from osteon.recipes.space import RECIPE_KEY
from osteon.recipes.sweep import load_sweep


def recipe_files(name_or_path: str, overrides: Sequence[str] = ()) -> dict[str, bytes]:
    """The file of a recipe, by its name; nothing for a packaged one.

    Raises:
        BadInput: what is wrong with the recipe.
    """
    load_recipe(name_or_path, overrides)
    path = Path(name_or_path)
    return {path.name: path.read_bytes()} if path.is_file() else {}


def sweep_files(name_or_path: str) -> dict[str, bytes]:
    """The file of a sweep and those it names, by their paths beside it; nothing for a packaged one.

    Raises:
        BadInput: what is wrong with the sweep; ``not-beside``.
    """
    spec = load_sweep(name_or_path)
    path = Path(name_or_path)
    if not path.is_file():
        return {}
    axis = spec.space.get(RECIPE_KEY, ())
    named = [spec.recipe, *(axis if isinstance(axis, tuple) else ()), spec.folds.splits, spec.folds.patients]
    files = [Path(str(each)) for each in named if each is not None and Path(str(each)).is_file()]
    return {path.name: path.read_bytes()} | {_beside(file, path): file.read_bytes() for file in files}


def _beside(file: Path, sweep: Path) -> str:
    try:
        return file.relative_to(sweep.parent).as_posix()
    except ValueError:
        raise BadInput(
            "not-beside",
            f"{file} does not lie beside the sweep that names it",
            where=str(sweep),
            remedy="put it there, so that it can go along",
        ) from None
