"""What a sweep varies: axes of recipe values, and the configurations they span.

An axis is named by the key of a recipe that it sets; one whose values have names sets any keys. The key ``recipe``
names the recipe itself, so that systems can be compared.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, model_validator

RECIPE_KEY = "recipe"
LABEL_LENGTH = 60

Value = Any
"""A value of a recipe as YAML gives it: a number, a text, a list or a mapping."""


class Choice(BaseModel):
    """One of several values, each as likely."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choice: Annotated[tuple[Value, ...], Field(min_length=1, description="The values.")]

    def draw(self, chance: random.Random) -> Value:
        """One value."""
        return chance.choice(self.choice)


class _Interval(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    @abstractmethod
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value."""

    @model_validator(mode="after")
    def _is_an_interval(self) -> _Interval:
        low, high = self.ends
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"[{low}, {high}] is not an interval from a smaller to a larger number")
        return self


class Uniform(_Interval):
    """A number between two, each as likely."""

    uniform: tuple[float, float] = Field(description="The smallest and the largest.")

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.uniform

    def draw(self, chance: random.Random) -> float:
        """One value."""
        return chance.uniform(*self.uniform)


class LogUniform(_Interval):
    """A positive number between two, its logarithm each as likely."""

    log_uniform: tuple[float, float] = Field(description="The smallest and the largest; both above 0.")

    @property
    def ends(self) -> tuple[float, float]:
        """The smallest and the largest value."""
        return self.log_uniform

    @model_validator(mode="after")
    def _is_positive(self) -> LogUniform:
        if self.log_uniform[0] <= 0:
            raise ValueError(f"log_uniform begins at {self.log_uniform[0]}, and must begin above 0")
        return self

    def draw(self, chance: random.Random) -> float:
        """One value."""
        low, high = (math.log(end) for end in self.log_uniform)
        return min(max(math.exp(chance.uniform(low, high)), self.log_uniform[0]), self.log_uniform[1])


class Named(BaseModel):
    """Values that have names and set several keys each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    named: Annotated[dict[str, dict[str, Value]], Field(min_length=1, description="Keys and values by name.")]


Listed = tuple[Value, ...] | Named
"""Values that are crossed with those of every other such axis."""
Drawn = Choice | Uniform | LogUniform
"""Values that are drawn."""
Axis = Listed | Drawn
Space = Mapping[str, Axis]


class Configuration(BaseModel):
    """One point of a space.

    Attributes:
        id: ``c000`` and so on, in the order they were made.
        values: by axis; the name of one that has a name.
        settings: what they set, by key of a recipe.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    values: dict[str, Value]
    settings: dict[str, Value]

    @classmethod
    def of(cls, id_: str, space: Space, values: Mapping[str, Value]) -> Configuration:
        """The point with these values, by axis."""
        settings: dict[str, Value] = {}
        for name, axis in space.items():
            settings |= axis.named[values[name]] if isinstance(axis, Named) else {name: values[name]}
        return cls(id=id_, values={name: values[name] for name in space}, settings=settings)

    @property
    def labels(self) -> dict[str, str]:
        """The values as short text, by axis."""
        return {axis: label(value) for axis, value in self.values.items()}

    @property
    def title(self) -> str:
        """What tells it from the others."""
        return ", ".join(f"{axis} {text}" for axis, text in self.labels.items())


def overrides(settings: Mapping[str, Value]) -> tuple[str, ...]:
    """``key=value`` for every key of a recipe; the recipe's own name is not among them."""
    return tuple(f"{key}={json.dumps(value)}" for key, value in settings.items() if key != RECIPE_KEY)


def keys_of(name: str, axis: Axis) -> set[str]:
    """The keys that an axis sets."""
    if isinstance(axis, Named):
        return {key for settings in axis.named.values() for key in settings}
    return {name}


def choices(axis: Axis) -> tuple[Value, ...] | None:
    """All values of an axis; None if it is an interval."""
    if isinstance(axis, Named):
        return tuple(axis.named)
    if isinstance(axis, Choice):
        return axis.choice
    return axis if isinstance(axis, tuple) else None


def label(value: Value) -> str:
    """A value as short text: numbers with four digits, lists and mappings as YAML writes them in one line."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6).removesuffix("...\n").strip()
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 1] + "…"


def drawn_axes(space: Space) -> dict[str, Drawn]:
    """The axes that are drawn."""
    return {name: axis for name, axis in space.items() if isinstance(axis, Drawn)}


def draw_configurations(space: Space, samples: int, seed: int) -> Iterator[Configuration]:
    """Every combination of the listed values, the last axis fastest; ``samples`` times if anything is drawn.

    A function of its arguments only.
    """
    drawn = drawn_axes(space)
    listed = {name: choices(axis) or () for name, axis in space.items() if name not in drawn}
    chance = random.Random(seed)
    number = itertools.count()
    for _ in range(samples if drawn else 1):
        for point in itertools.product(*listed.values()):
            values = dict(zip(listed, point, strict=True)) | {name: axis.draw(chance) for name, axis in drawn.items()}
            yield Configuration.of(f"c{next(number):03d}", space, values)


def extremes(space: Space) -> Iterator[Configuration]:
    """For each axis every value, or the ends of its interval, with the first value of the other axes."""
    ends = {name: axis.ends if isinstance(axis, _Interval) else choices(axis) or () for name, axis in space.items()}
    first = {name: values[0] for name, values in ends.items()}
    for name, values in ends.items():
        for value in values:
            yield Configuration.of("c000", space, first | {name: value})
