"""A small model as training leaves it."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from osteon.core.labels import LabelTable
from osteon.models.build import build
from osteon.models.network import Network
from osteon.recipes.bundle import save_bundle
from osteon.recipes.recipe import Recipe, parse_recipe
from osteon.storage.stores import open_store

RECIPE = """
name: small
description: A small test.
grid: {spacing_mm: [2, 2, 2]}
model: {channels: [4, 6, 8], num_auxiliary: 1}
sampling: {patch_shape: [8, 8, 8]}
inference: {window_shape: [16, 16, 16]}
"""


@dataclass(frozen=True)
class Saved:
    """A bundle on disk and what went into it."""

    path: Path
    recipe: Recipe
    table: LabelTable
    network: Network
    digest: str


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """A bundle of a network with random weights for three bones."""
    torch.manual_seed(5)
    recipe = parse_recipe(RECIPE, where="test")
    table = LabelTable.of({24: "vertebrae_L1", 86: "femur_left", 87: "femur_right"})
    network = build(recipe.model, num_classes=4).eval()
    path = tmp_path / "model"
    digest = save_bundle(open_store(str(path)), "", recipe, table, network, {"mean_dice": 0.75})
    return Saved(path, recipe, table, network, digest)
