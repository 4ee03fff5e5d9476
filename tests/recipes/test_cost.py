"""What networks cost: counts by hand, and every packaged recipe's network takes the patch of its recipe."""

import re
from pathlib import Path

import pytest

from osteon.recipes.cost import cost_of
from osteon.recipes.recipe import load_recipe, packaged_recipes, parse_recipe

TINY = """
name: tiny
model: {channels: [2, 3], num_auxiliary: 0}
sampling: {patch_shape: [4, 6, 8]}
inference: {window_shape: [4, 6, 8]}
"""

REFERENCE = Path(__file__).parents[2] / "docs" / "reference" / "networks.md"


def test_operations_are_two_per_weight_and_voxel() -> None:
    cost = cost_of(parse_recipe(TINY, where="test"), num_classes=2, timed=False)
    fine, coarse = 4 * 6 * 8, 2 * 3 * 4
    convolutions = 27 * (fine * (1 * 2 + 2 * 2 + 4 * 2 + 2 * 2) + coarse * (2 * 3 + 3 * 3))
    assert cost.gflop == pytest.approx(2 * (convolutions + fine * (3 * 2) + fine * 2 * 2) / 1e9)
    assert (cost.patch_shape, cost.num_views, cost.ms) == ((4, 6, 8), 1, None)


def test_classes_add_to_the_head_alone() -> None:
    recipe = parse_recipe(TINY, where="test")
    few, many = (cost_of(recipe, num_classes, timed=False) for num_classes in (2, 126))
    assert many.num_parameters - few.num_parameters == 124 * (2 + 1)


def test_time_is_measured_with_the_engine_named() -> None:
    cost = cost_of(load_recipe("demo", ["sampling.patch_shape=[16, 16, 16]"]), num_classes=2, timed=True)
    assert cost.ms is not None
    assert cost.ms > 0
    assert cost.engine is not None
    assert cost.engine.startswith(("openvino", "torch"))


@pytest.mark.parametrize("name", packaged_recipes())
def test_every_packaged_network_takes_the_patch_of_its_recipe(name: str) -> None:
    cost = cost_of(load_recipe(name), num_classes=3, timed=False)
    assert cost.num_parameters > 10_000
    assert cost.gflop > 1


@pytest.mark.parametrize("name", packaged_recipes())
def test_reference_has_the_counts_of_every_packaged_recipe(name: str) -> None:
    """A row that is missing or stale comes right with `osteon models --no-time`."""
    cost = cost_of(load_recipe(name), num_classes=2, timed=False)
    shape = " ".join(str(side) for side in cost.patch_shape)
    row = re.search(rf"^\| `{name}` \|.*", REFERENCE.read_text("utf-8"), re.M)
    assert row is not None
    counts = f"{shape} | {cost.num_parameters:,} | {cost.gflop:,.0f} |"
    assert row.group().endswith(counts)
