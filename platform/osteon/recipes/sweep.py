"""A sweep: a recipe, what of it is varied, the folds it is judged on, and how the tries are chosen and cut short."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from osteon.core.errors import BadInput
from osteon.evaluation.folds import FoldSpec
from osteon.recipes.recipe import SUFFIX, parse_mapping, read_source
from osteon.recipes.space import RECIPE_KEY, Axis, drawn_axes, keys_of

PACKAGE = "sweeps"
SET_BY_FOLDS = {
    f"training.{key}" for key in ("training_cases", "validation_cases", "validation_share", "splits", "fold")
}


class SearchSpec(BaseModel):
    """How configurations are chosen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["grid", "random", "tpe"] = Field(
        default="grid",
        description="grid: every combination of the lists; random: those, with `samples` draws of everything that is "
        "drawn; tpe: `samples` configurations that Optuna's tree of Parzen estimators proposes, lists being choices.",
    )
    samples: int = Field(default=20, ge=1, description="Draws (random) or configurations (tpe).")
    seed: int = Field(default=0, ge=0, description="Fixes the draws.")


class SchedulerSpec(BaseModel):
    """Which configurations are given up early, by their mean over folds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["none", "asha", "median"] = Field(
        default="none",
        description="none: all run to their end; asha: at every rung those go on whose mean is in the best share "
        "1/reduction of the means seen there so far; median: those whose mean is not below the median of those means.",
    )
    grace: float = Field(default=0.25, gt=0, lt=1, description="The first rung, as a share of a run's steps.")
    reduction: float = Field(default=2.0, gt=1, description="The ratio of one rung to the one before it.")


class ResourceSpec(BaseModel):
    """What one trial holds while it runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=1, ge=1, description="Training workers of a trial.")
    gpus: float | None = Field(
        default=None, ge=0, description="GPUs per worker, 0.5 for two on one; null: one where the cluster has any."
    )
    cpus: int | None = Field(
        default=None, ge=1, description="Processors per worker; null: one, or an even share for each GPU."
    )
    parallel: int | None = Field(default=None, ge=1, description="Trials at once; null: as many as fit.")


class SweepSpec(BaseModel):
    """Everything that defines a sweep."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Short name.", min_length=1)
    description: str = Field(default="", description="One line on what it is to answer.")
    recipe: str = Field(description="The recipe that is varied: a packaged one's name, or a YAML file.")
    settings: dict[str, Any] = Field(
        default_factory=dict, description="Values replaced in every configuration, by key."
    )
    space: dict[str, Axis] = Field(
        description="What is varied, by key: a list, {choice: […]}, {uniform: [a, b]} or {log_uniform: [a, b]}; the "
        "key `recipe` varies the recipe itself. Or by any name: {named: {name: {key: value, …}, …}}."
    )
    folds: FoldSpec = Field(default_factory=FoldSpec, description="How cases are shared out.")
    repeats: int = Field(default=1, ge=1, description="Runs of every fold, each with another seed.")
    search: SearchSpec = Field(default_factory=SearchSpec, description="How configurations are chosen.")
    scheduler: SchedulerSpec = Field(default_factory=SchedulerSpec, description="Which are given up early.")
    resources: ResourceSpec = Field(default_factory=ResourceSpec, description="What one trial holds.")

    @model_validator(mode="after")
    def _space_fits_the_search(self) -> SweepSpec:
        empty = [axis for axis, values in self.space.items() if isinstance(values, tuple) and not values]
        if empty or not self.space:
            raise ValueError(f"the space is empty{f' at {empty[0]}' if empty else ''}: name a key and its values")
        drawn = drawn_axes(self.space)
        if self.search.method == "grid" and drawn:
            raise ValueError(f"{next(iter(drawn))} is drawn, which a grid cannot do: give a list, or search by random")
        if self.search.method == "random" and not drawn:
            raise ValueError("nothing in the space is drawn: search by grid, or write {choice: […]} for a list")
        return self

    @model_validator(mode="after")
    def _keys_are_set_once(self) -> SweepSpec:
        keys = [key for name, axis in self.space.items() for key in keys_of(name, axis)]
        for key in keys:
            if keys.count(key) > 1 or key in self.settings:
                raise ValueError(f"{key} is set twice, by settings or axes of the space")
        for key in {*keys, *self.settings} & SET_BY_FOLDS:
            raise ValueError(f"{key} is set by the folds")
        return self


def packaged_sweeps() -> tuple[str, ...]:
    """Names of the sweeps that come with Osteon, sorted."""
    files = (Path(entry.name) for entry in resources.files("osteon.recipes").joinpath(PACKAGE).iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == SUFFIX))


def load_sweep(name_or_path: str) -> SweepSpec:
    """The sweep of a packaged name or of a YAML file; files that it names are looked for beside it first.

    Raises:
        BadInput: ``no-sweep`` or ``bad-sweep``; the message names the key and what it may be.
    """
    folder = resources.files("osteon.recipes").joinpath(PACKAGE)
    text = read_source(name_or_path, "sweep", packaged_sweeps(), folder)
    values = parse_mapping(text, "sweep", where=name_or_path)
    try:
        spec = SweepSpec.model_validate(values)
    except ValidationError as error:
        raise BadInput("bad-sweep", _explain(error), where=name_or_path) from error
    return _beside(spec, Path(name_or_path).parent)


def _beside(spec: SweepSpec, folder: Path) -> SweepSpec:
    """With the files that lie beside the sweep named by where they are."""

    def found(name: str) -> str:
        return str(folder / name) if (folder / name).is_file() else name

    space = dict(spec.space)
    recipes = space.get(RECIPE_KEY)
    if isinstance(recipes, tuple):
        space[RECIPE_KEY] = tuple(found(str(name)) for name in recipes)
    folds = {key: found(path) for key in ("splits", "patients") if (path := getattr(spec.folds, key)) is not None}
    return spec.model_copy(
        update={"recipe": found(spec.recipe), "space": space, "folds": spec.folds.model_copy(update=folds)}
    )


def _explain(error: ValidationError) -> str:
    """All complaints in one line, each with its key."""
    lines = []
    for detail in error.errors(include_url=False):
        key = ".".join(str(part) for part in detail["loc"] if not _is_kind(part)) or "sweep"
        if detail["type"] == "extra_forbidden":
            lines.append(f"{key} is not a key here")
        elif detail["type"] == "missing":
            lines.append(f"{key} is missing")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            lines.append(f"{key}: {message[:1].lower()}{message[1:]}")
    return "; ".join(dict.fromkeys(lines))


def _is_kind(part: int | str) -> bool:
    """Whether pydantic names with it one of the ways to write an axis."""
    return str(part).startswith(("tuple[", "Named", "Choice", "Uniform", "LogUniform"))
