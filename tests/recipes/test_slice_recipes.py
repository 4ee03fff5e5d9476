"""The recipes of Krawczyk 2021: one protocol, seven networks. That they train and segment is tested with all others."""

import pytest

from osteon.core.errors import BadInput
from osteon.recipes.recipe import load_recipe, packaged_recipes

SYSTEMS = ("fcn32", "fcn8", "pspnet", "segnet", "unet", "unet-resnet50", "unet-vgg16")


def test_every_system_has_its_recipe() -> None:
    found = tuple(name for name in packaged_recipes() if name.startswith("krawczyk2021-"))
    assert found == tuple(f"krawczyk2021-{system}" for system in SYSTEMS)


def test_systems_differ_in_their_network_and_epochs_only() -> None:
    recipes = [load_recipe(f"krawczyk2021-{system}") for system in SYSTEMS]
    kept = [
        recipe.model_dump(exclude={"name": True, "description": True, "model": True, "training": {"steps"}})
        for recipe in recipes
    ]
    assert all(each == kept[0] for each in kept)
    assert [recipe.training.steps / 512 for recipe in recipes] == [10] * 5 + [30] * 2
    assert len({recipe.model.model_dump_json() for recipe in recipes}) == len(SYSTEMS)


def test_weights_without_a_digest_are_refused() -> None:
    with pytest.raises(BadInput, match="pretrained and pretrained_sha256 go together"):
        load_recipe("krawczyk2021-unet-resnet50", ["model.pretrained=resnet50.pth"])


def test_every_kind_of_augmentation_that_the_paper_names_is_on() -> None:
    spec = load_recipe("krawczyk2021-unet").augment
    chance = {name: getattr(spec, name).probability for name in type(spec).model_fields}
    assert {name for name in chance if not chance[name]} == {"low_resolution", "gamma"}  # which it does not name
    blurs = chance["blur"] + chance["average_blur"] + chance["median_blur"]
    assert blurs == pytest.approx(chance["sharpen"], abs=0.002)  # one kind of several, as in the paper
