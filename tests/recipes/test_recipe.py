"""Recipes: what comes packaged, how values are replaced, and what a mistake is answered with."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from osteon.core.errors import BadInput
from osteon.models.build import SPECS
from osteon.recipes.recipe import differing_keys, load_recipe, packaged_recipes, parse_recipe


def refusal(text: str, *overrides: str) -> BadInput:
    with pytest.raises(BadInput) as caught:
        parse_recipe(text, where="my.yaml", overrides=overrides)
    return caught.value


def models_in(model: BaseModel) -> list[BaseModel]:
    below = [value for _, value in model if isinstance(value, BaseModel)]
    return [model, *(found for value in below for found in models_in(value))]


def test_packaged_recipes_are_valid_and_say_what_they_are_for() -> None:
    assert {"demo", "unet3d"} <= set(packaged_recipes())
    for name in packaged_recipes():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description
        assert "\n" not in recipe.description


KINDS: dict[str, type[BaseModel]] = {type(model).__name__: type(model) for model in models_in(load_recipe("demo"))} | {
    spec.__name__: spec for spec in SPECS.values()
}


@pytest.mark.parametrize("model", KINDS.values(), ids=KINDS.keys())
def test_every_value_is_documented_and_nothing_else_is_accepted(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []
    assert model.model_config["extra"] == "forbid"
    assert model.model_config["frozen"]


def test_yaml_comes_back_as_the_same_recipe() -> None:
    recipe = load_recipe("unet3d", ["training.validation_cases=[a, b]", "optim.ema_decay=0.99"])
    assert parse_recipe(recipe.to_yaml(), where="copy") == recipe


def test_path_is_read_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntraining: {steps: 7}\n")
    assert load_recipe(str(path)).training.steps == 7


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("training.steps=12", ("training", "steps"), 12),
        ("optim.learning_rate=3.0e-4", ("optim", "learning_rate"), 3e-4),
        ("optim.gradient_clip=null", ("optim", "gradient_clip"), None),
        ("model.channels=[4, 8]", ("model", "channels"), (4, 8)),
        ("name=other", ("name",), "other"),
        ("augment.flip.axes=[z]", ("augment", "flip", "axes"), ("z",)),
    ],
)
def test_single_values_are_replaced(override: str, path: tuple[str, ...], value: Any) -> None:
    found: Any = load_recipe("unet3d", ["model.num_auxiliary=0", override])
    for part in path:
        found = getattr(found, part)
    assert found == value


def test_later_overrides_win() -> None:
    assert load_recipe("unet3d", ["training.steps=1", "training.steps=2"]).training.steps == 2


@pytest.mark.parametrize(
    ("text", "overrides", "named"),
    [
        ("name: a\ntraning: {}", (), ["traning", "allowed here", "training", "optim"]),
        ("name: a\ntraining: {step: 1}", (), ["training.step", "allowed here", "steps"]),
        ("name: a", ("optim.schedule=linear",), ["optim.schedule", "'cosine'", "'poly'", "'linear'"]),
        ("name: a", ("training.steps=many",), ["training.steps", "'many'", "integer"]),
        ("name: a", ("training.steps=0",), ["training.steps", "greater than or equal to 1", "0"]),
        ("name: a", ("augment.flip.axis=[z]",), ["augment.flip.axis", "axes"]),
        ("name: a", ("sampling.patch_shape=[60, 64, 64]",), ["sampling.patch_shape", "multiples of [16, 16, 16]"]),
        ("name: a", ("inference.window_shape=[16, 16, 16]",), ["inference.window_shape", "at least 32"]),
        ("name: a", ("model.architecture=unet4d",), ["model.architecture", "sneakynet", "'unet4d'"]),
        ("name: a", ("model.architecture=mrn", "model.num_auxiliary=1"), ["model.num_auxiliary", "contexts"]),
        ("name: a", ("model={architecture: ensemble, member: {}}",), ["model.members is missing"]),
        (
            "name: a",
            ("model={architecture: ensemble, members: 2, member: {architecture: unet4d}}",),
            ["model.member.architecture", "sneakynet", "'unet4d'"],
        ),
        (
            "name: a",
            ("model={architecture: ensemble, members: 2, member: {architecture: mrn, depth: 1}}",),
            ["model.member.depth", "contexts"],
        ),
        ("description: b", (), ["name is missing"]),
        ("name: a", ("training.steps",), ["'training.steps' is not key.subkey=value"]),
        ("name: a", ("training.steps.more=1",), ["training.steps"]),
        ("name: a", ("name.first=1",), ["name.first", "not further keys"]),
        ("name: a", ("training.steps=[1",), ["training.steps", "not a YAML value"]),
        ("- a\n- b", (), ["a mapping of keys"]),
        ("name: [a", (), ["not YAML"]),
    ],
)
def test_mistakes_are_answered_in_one_line_with_the_key_and_what_it_may_be(
    text: str, overrides: tuple[str, ...], named: list[str]
) -> None:
    error = refusal(text, *overrides)
    assert error.code == "bad-recipe"
    assert "\n" not in str(error)
    for part in named:
        assert part in str(error)


def test_keys_that_differ_are_named() -> None:
    one, other = load_recipe("unet3d"), load_recipe("unet3d", ["training.steps=3", "name=b"])
    assert differing_keys(one, one) == ()
    assert differing_keys(one, other) == ("name", "training.steps")
    hooked = load_recipe("unet3d", ["model={architecture: hooknet}"])
    assert differing_keys(one, hooked) == ("model.architecture", "model.contexts", "model.num_auxiliary")


def test_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"demo.*unet3d") as caught:
        load_recipe("unet4d")
    assert caught.value.code == "no-recipe"


def test_code_in_yaml_is_not_run(tmp_path: Path) -> None:
    target = tmp_path / "made"
    error = refusal(f"name: !!python/object/apply:pathlib.Path.touch [{target}]")
    assert error.code == "bad-recipe"
    assert not target.exists()


def test_documented_yaml_explains_every_value_and_loads_again() -> None:
    recipe = load_recipe("demo")
    text = recipe.to_documented_yaml()
    assert parse_recipe(text, where="copy") == recipe
    assert "# Optimiser steps of the run" in text
    comments = sum(line.strip().startswith("#") for line in text.splitlines())
    keys = sum(len(type(model).model_fields) for model in models_in(recipe))
    assert comments == keys
    assert yaml.safe_load(text)["training"]["steps"] == recipe.training.steps
