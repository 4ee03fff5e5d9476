"""Parameter counts of the recipes against those that their papers give."""

import pytest
import torch

from osteon.models.build import build
from osteon.models.network import num_parameters
from osteon.recipes.recipe import load_recipe

SCHNIDER_CLASSES = 126  # 125 bones and the background


@pytest.mark.parametrize(
    ("recipe", "published"),
    [
        ("schnider2022-unet3d", 5.8e7),
        ("schnider2022-unet3d-slim", 1.5e7),
        ("schnider2022-hooknet", 3.7e7),
        ("schnider2022-mrn", 4.7e7),
        ("schnider2022-sneakynet", 4.9e7),
        ("schnider2022-sneakynet-k2", 5.8e7),
        ("schnider2022-sneakynet-k3", 6.2e7),
    ],
)
def test_schnider_2022_table_1(recipe: str, published: float) -> None:
    with torch.device("meta"):
        network = build(load_recipe(recipe).model, num_classes=SCHNIDER_CLASSES)
    assert num_parameters(network) == pytest.approx(published, rel=0.1)
