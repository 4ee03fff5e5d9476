"""A model of three bones that nobody trained: what it says of noise is arbitrary, but always the same."""

from pathlib import Path

import torch

from osteon.core.labels import table_for
from osteon.data.preprocess import ModelGrid
from osteon.inference.windows import StreamSpec
from osteon.models.build import build
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.bundle import save_bundle
from osteon.recipes.recipe import Recipe
from osteon.storage.stores import open_store

TABLE = table_for(["femur_left", "femur_right", "sacrum"])


def write_model(folder: Path, spacing_mm: float = 1.5, side: int = 16, bone_floor_hu: float | None = None) -> str:
    """Write it; its URL. Windows have ``side`` voxels of ``spacing_mm`` along each axis."""
    torch.manual_seed(0)
    recipe = Recipe(
        name="tiny",
        description="For tests.",
        grid=ModelGrid(spacing_mm=(spacing_mm,) * 3),
        model=UNet3dSpec(channels=(4, 8), num_auxiliary=0),
        inference=StreamSpec(window_shape=(side,) * 3, bone_floor_hu=bone_floor_hu),
    )
    save_bundle(open_store(str(folder)), "", recipe, TABLE, build(recipe.model, num_classes=len(TABLE) + 1), {})
    return str(folder)
