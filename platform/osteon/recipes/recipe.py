"""A recipe: every number of a training run and of the model it leaves, as one validated document in YAML.

Each value belongs to the room that uses it; this module only joins them, reads them and says what is wrong with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from osteon.core.errors import BadInput
from osteon.data.augment import AugmentSpec
from osteon.data.prepare import PrepareSpec
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.data.sampling import SamplingSpec
from osteon.inference.postprocess import PostprocessSpec
from osteon.inference.windows import StreamSpec
from osteon.models.build import SPECS, ModelSpec
from osteon.models.volume_specs import UNet3dSpec
from osteon.training.losses import LossSpec
from osteon.training.optim import OptimSpec
from osteon.training.plan import TrainingSpec

SUFFIX = ".yaml"


class Recipe(BaseModel):
    """Everything that defines a run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Short name, also the model's.", min_length=1)
    description: str = Field(default="", description="One line on what the recipe is for.")
    prepare: PrepareSpec = Field(
        default_factory=PrepareSpec, description="What is done to scans first, by osteon prepare and osteon segment."
    )
    grid: ModelGrid = Field(default_factory=ModelGrid, description="The voxel grid the network sees.")
    intensity: Intensity = Field(default_factory=Intensity, description="From Hounsfield units to network input.")
    model: ModelSpec = Field(default_factory=UNet3dSpec, description="The network.")
    sampling: SamplingSpec = Field(default_factory=SamplingSpec, description="Which patches are drawn.")
    augment: AugmentSpec = Field(default_factory=AugmentSpec, description="How patches are varied.")
    loss: LossSpec = Field(default_factory=LossSpec, description="What is minimised.")
    optim: OptimSpec = Field(default_factory=OptimSpec, description="How weights move.")
    training: TrainingSpec = Field(default_factory=TrainingSpec, description="How long, how often, on which cases.")
    inference: StreamSpec = Field(default_factory=StreamSpec, description="How whole scans are cut into windows.")
    postprocess: PostprocessSpec = Field(
        default_factory=PostprocessSpec, description="What is done to finished labels."
    )

    @model_validator(mode="after")
    def _shapes_fit_the_network(self) -> Recipe:
        shapes = {
            "sampling.patch_shape": self.sampling.patch_shape,
            "inference.window_shape": self.inference.window_shape,
        }
        for key, shape in shapes.items():
            try:
                self.model.check_shape(shape)
            except ValueError as error:
                raise ValueError(f"{key} {list(shape)} {error}") from error
        return self

    def to_yaml(self) -> str:
        """The whole recipe, defaults included, as YAML that `load_recipe` reads."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    def to_documented_yaml(self) -> str:
        """The same with what each value means in a comment above it."""
        return "\n".join(_documented(self)) + "\n"


def packaged_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with Osteon, sorted."""
    files = (Path(entry.name) for entry in resources.files("osteon.recipes").iterdir())
    return tuple(sorted(file.stem for file in files if file.suffix == SUFFIX))


def load_recipe(name_or_path: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a packaged name or of a YAML file, with single values replaced.

    Args:
        name_or_path: for example ``unet3d``, or ``my/recipe.yaml``.
        overrides: ``key.subkey=value`` with the value in YAML.

    Raises:
        BadInput: ``no-recipe`` or ``bad-recipe``; the message names the key and what it may be.
    """
    text = read_source(name_or_path, "recipe", packaged_recipes(), resources.files("osteon.recipes"))
    return parse_recipe(text, where=name_or_path, overrides=overrides)


def parse_recipe(text: str, *, where: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of a YAML document that came from ``where``.

    Raises:
        BadInput: ``bad-recipe``.
    """
    values = parse_mapping(text, "recipe", where=where)
    for override in overrides:
        _override(values, override)
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise BadInput("bad-recipe", _explain(error), where=where) from error


def differing_keys(one: Recipe, other: Recipe) -> tuple[str, ...]:
    """Where two recipes differ, as ``--set`` names it, sorted."""
    return tuple(_differing(one.model_dump(mode="json"), other.model_dump(mode="json")))


def _differing(one: object, other: object, key: str = "") -> Iterator[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        for name in sorted(one.keys() | other.keys()):
            yield from _differing(one.get(name), other.get(name), f"{key}.{name}" if key else name)
    elif one != other:
        yield key


def parse_mapping(text: str, kind: str, *, where: str) -> dict[str, Any]:
    """The keys and values of a YAML document of a kind (``recipe``, ``sweep``) that came from ``where``.

    Raises:
        BadInput: ``bad-`` and the kind.
    """
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput(f"bad-{kind}", f"not YAML: {' '.join(str(error).split())}", where=where) from error
    if not isinstance(values, dict):
        what = f"a {kind} is a mapping of keys to values, not {values!r:.60}"
        raise BadInput(f"bad-{kind}", what, where=where)
    return values


def read_source(name_or_path: str, kind: str, packaged: Sequence[str], folder: Traversable) -> str:
    """The text of a packaged document in ``folder``, or of a file.

    Raises:
        BadInput: ``no-`` and the kind, with the packaged names; ``bad-`` and the kind.
    """
    if name_or_path in packaged:
        return folder.joinpath(name_or_path + SUFFIX).read_text("utf-8")
    path = Path(name_or_path)
    if not path.is_file():
        raise BadInput(
            f"no-{kind}",
            f"{name_or_path!r} is neither a packaged {kind} nor a file",
            remedy=f"choose one of {', '.join(packaged)}, or give a YAML file",
        )
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"bad-{kind}", "not a text file in UTF-8", where=name_or_path) from error


def _documented(model: BaseModel, indent: str = "") -> Iterator[str]:
    for name, field in type(model).model_fields.items():
        yield f"{indent}# {field.description}"
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield f"{indent}{name}:"
            yield from _documented(value, indent + "  ")
        else:
            plain = model.model_dump(mode="json", include={name})
            yield indent + yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**6).strip()[1:-1]


def _override(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise BadInput("bad-recipe", f"{override!r} is not key.subkey=value", where="--set")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInput("bad-recipe", f"{key}: {text!r} is not a YAML value", where="--set") from error
    *path, last = parts
    for part in path:
        values = values.setdefault(part, {})
        if not isinstance(values, dict):
            raise BadInput("bad-recipe", f"{key}: {part} holds a value, not further keys", where="--set")
    values[last] = value


def _explain(error: ValidationError) -> str:
    """All complaints in one line, each with its key, the value found and what is allowed."""
    lines = []
    for detail in error.errors(include_url=False):
        path, beside = _locate(detail["loc"])
        key = ".".join(path) or "recipe"
        if detail["type"] == "extra_forbidden":
            lines.append(f"{key} is not a key of a recipe; allowed here: {', '.join(beside.model_fields)}")
        elif detail["type"] == "missing":
            lines.append(f"{key} is missing")
        elif detail["type"] == "union_tag_invalid":
            lines.append(f"{key}.architecture: must be one of {', '.join(SPECS)}, not {detail['ctx']['tag']!r:.60}")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            found = "" if isinstance(detail["input"], Mapping | BaseModel) else f", not {detail['input']!r:.60}"
            lines.append(f"{key}: {message[:1].lower()}{message[1:]}{found}")
    return "; ".join(lines)


def _locate(loc: Sequence[int | str]) -> tuple[list[str], type[BaseModel]]:
    """The keys to a complaint, and the model whose keys stand beside the last one."""
    kinds = {spec.__name__: spec for spec in SPECS.values()}
    path: list[str] = []
    model: type[BaseModel] = Recipe
    beside = model
    for part in map(str, loc):
        if part in kinds:  # pydantic names the kind of network after `model`
            model = kinds[part]
            continue
        path.append(part)
        beside = model
        field = model.model_fields.get(part)
        if field and isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            model = field.annotation
    return path, beside
