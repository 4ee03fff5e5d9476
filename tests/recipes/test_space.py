import math

import pytest
from pydantic import TypeAdapter, ValidationError

from osteon.recipes.space import Axis, Configuration, draw_configurations, extremes, label, overrides

SPACE = TypeAdapter(dict[str, Axis])


def space(**axes: object) -> dict[str, Axis]:
    return SPACE.validate_python({name.replace("__", "."): axis for name, axis in axes.items()})


def test_lists_are_crossed_with_the_last_axis_fastest() -> None:
    found = list(draw_configurations(space(a=[1, 2], b=["x", "y"]), samples=5, seed=0))
    assert [each.values for each in found] == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]
    assert [each.id for each in found] == ["c000", "c001", "c002", "c003"]


def test_named_values_set_several_keys() -> None:
    patch = {"named": {"small": {"a.shape": [1, 2], "b.shape": [1, 2]}, "large": {"a.shape": [3, 4]}}}
    small, large = draw_configurations(space(patch=patch), samples=1, seed=0)
    assert small.values == {"patch": "small"}
    assert small.title == "patch small"
    assert overrides(small.settings) == ("a.shape=[1, 2]", "b.shape=[1, 2]")
    assert overrides(large.settings) == ("a.shape=[3, 4]",)


def test_the_recipe_is_no_value_of_itself() -> None:
    (first,) = draw_configurations(space(recipe=["unet3d"]), samples=1, seed=0)
    assert first.settings == {"recipe": "unet3d"}
    assert overrides(first.settings) == ()


def test_draws_stay_inside_and_follow_from_the_seed() -> None:
    axes = space(rate={"log_uniform": [1e-4, 1e-2]}, share={"uniform": [0.2, 0.4]}, kind={"choice": ["a", "b"]})
    found = list(draw_configurations(axes, samples=200, seed=3))
    assert found == list(draw_configurations(axes, samples=200, seed=3))
    assert found != list(draw_configurations(axes, samples=200, seed=4))
    rates = [each.values["rate"] for each in found]
    assert 1e-4 <= min(rates) < 2e-4 < 5e-3 < max(rates) <= 1e-2
    assert 0.4 < sum(rate < 1e-3 for rate in rates) / 200 < 0.6  # half of them below the geometric mean
    assert all(0.2 <= each.values["share"] <= 0.4 for each in found)
    assert {each.values["kind"] for each in found} == {"a", "b"}


def test_draws_are_repeated_for_every_point_of_the_lists() -> None:
    found = list(draw_configurations(space(a=[1, 2], b={"uniform": [0, 1]}), samples=3, seed=0))
    assert [each.values["a"] for each in found] == [1, 2, 1, 2, 1, 2]
    assert len({each.values["b"] for each in found}) == 6


def test_extremes_reach_every_value_and_both_ends() -> None:
    found = [each.values for each in extremes(space(a=[1, 2, 3], b={"uniform": [0, 1]}))]
    assert {each["a"] for each in found} == {1, 2, 3}
    assert {each["b"] for each in found} == {0, 1}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00123456, "0.001235"),
        ("dice", "dice"),
        ([16, 96], "[16, 96]"),
        ({"a": 1}, "{a: 1}"),
        (True, "true"),
        (3, "3"),
    ],
)
def test_values_read_shortly(value: object, text: str) -> None:
    assert label(value) == text


@pytest.mark.parametrize(
    "axis",
    [
        {"uniform": [1, 0]},
        {"uniform": [0, math.inf]},
        {"log_uniform": [0, 1]},
        {"choice": []},
        {"named": {}},
        "text",
        3,
    ],
)
def test_what_is_no_axis_is_refused(axis: object) -> None:
    with pytest.raises(ValidationError):
        space(a=axis)


def test_a_configuration_reads_back_from_json() -> None:
    (first,) = draw_configurations(space(a=[[1, {"b": 2}]]), samples=1, seed=0)
    assert Configuration.model_validate_json(first.model_dump_json()) == first
