import pytest

from osteon.jobs.sweep_plan import num_configurations, recipe_of
from osteon.recipes.space import draw_configurations
from osteon.recipes.sweep import SweepSpec, load_sweep, packaged_sweeps


@pytest.mark.parametrize("name", packaged_sweeps())
def test_every_configuration_of_a_packaged_sweep_is_a_recipe(name: str) -> None:
    spec = load_sweep(name)
    found = list(draw_configurations(spec.space, spec.search.samples, spec.search.seed))
    assert len({each.title for each in found}) == len(found) == num_configurations(spec)
    for configuration in found:
        recipe_of(spec, configuration)


def test_a_configuration_replaces_what_all_share_and_what_its_recipe_says() -> None:
    spec = SweepSpec.model_validate(
        {
            "name": "s",
            "recipe": "unet3d",
            "settings": {"training.steps": 7, "loss.dice": 0.5},
            "space": {"recipe": ["unet3d", "unet3d-3mm"], "optim.learning_rate": [0.1]},
        }
    )
    first, second = (recipe_of(spec, each) for each in draw_configurations(spec.space, 1, 0))
    assert (first.name, second.name) == ("unet3d", "unet3d-3mm")
    assert second.grid.spacing_mm == (3.0, 3.0, 3.0)
    for recipe in (first, second):
        assert (recipe.training.steps, recipe.loss.dice, recipe.optim.learning_rate) == (7, 0.5, 0.1)


def test_li_s_losses_are_those_of_the_paper() -> None:
    spec = load_sweep("li2022-patch-loss")
    recipes = [recipe_of(spec, each) for each in draw_configurations(spec.space, 1, 0)]
    dice, entropy, hybrid = (recipe.loss for recipe in recipes[:3])
    assert (dice.kind, dice.dice, dice.cross_entropy) == ("dice-cross-entropy", 1, 0)
    assert (entropy.dice, entropy.cross_entropy, entropy.balance) == (0, 1, 1)
    assert hybrid.kind == "hybrid"
    assert [recipe.sampling.patch_shape for recipe in recipes[::3]] == [(16, 96, 96), (16, 128, 128), (16, 256, 256)]
