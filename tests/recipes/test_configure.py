"""A recipe derived from a dataset: what the scans say stands in it, and nothing else of the packaged one changes."""

import numpy as np
import pytest
import torch

from osteon.core.errors import BadInput
from osteon.core.geometry import Index3, Vector3
from osteon.models.build import build
from osteon.recipes.configure import configure
from osteon.recipes.recipe import Recipe, load_recipe, parse_recipe
from osteon.storage.catalog import CatalogRow
from osteon.storage.fingerprint import Fingerprint, fingerprint
from osteon.storage.histogram import FIRST_HU, FOREGROUND, NUM_BINS


def row(case_id: str, shape: Index3, spacing_mm: Vector3, *, has_labels: bool = True) -> CatalogRow:
    labels = (24, 86) if has_labels else ()
    return CatalogRow(case_id, shape, spacing_mm, labels, has_labels, 1, "nifti", "", "", 0, "")


THICK = [row(f"case{k}", (20, 320, 320), (3.6, 0.625, 0.625)) for k in range(5)]
EVEN = [row(f"case{k}", (300, 300, 300), (1.0, 1.0, 1.0)) for k in range(5)]
UNLABELLED = row("other", (900, 512, 512), (1.0, 1.0, 1.0), has_labels=False)


def surveyed(rows: list[CatalogRow]) -> Fingerprint:
    """Labelled voxels of 101 to 1100 HU, as many of each."""
    histograms = np.zeros((2, NUM_BINS), dtype=np.int64)
    histograms[FOREGROUND, 101 - FIRST_HU : 1101 - FIRST_HU] = 7
    return fingerprint(rows, histograms)


def configured(rows: list[CatalogRow], memory_gb: float = 8) -> Recipe:
    return configure(rows, surveyed(rows), name="mine", memory_gb=memory_gb)


def test_grid_and_network_follow_the_labelled_scans() -> None:
    recipe = configured([*THICK, UNLABELLED])
    assert recipe.name == "mine"
    assert "5 cases" in recipe.description
    assert recipe.grid.spacing_mm == (3.6, 0.625, 0.625)
    assert recipe.sampling.patch_shape == recipe.inference.window_shape == (20, 320, 256)
    assert recipe.model.stride == (4, 64, 64)


def test_intensities_are_those_of_the_labelled_voxels() -> None:
    intensity = configured(THICK).intensity
    assert intensity.clip_hu == (105, 1095)
    assert intensity.mean == pytest.approx(600.5)
    assert intensity.std == pytest.approx(np.arange(101, 1101).std())


def test_levels_without_a_loss_are_nnunets() -> None:
    """Seven levels make six decoder levels; nnU-Net gives the coarsest of them no weight."""
    recipe = configured(THICK)
    with torch.device("meta"):
        outputs = build(recipe.model, num_classes=3).supervised(torch.empty(1, 1, 20, 320, 256))
    assert [output.step for output in outputs] == [(1, 1, 1), (1, 2, 2), (1, 4, 4), (2, 8, 8), (4, 16, 16)]


def test_flat_patches_turn_in_their_plane() -> None:
    affine = configured(THICK).augment.affine
    assert (affine.axes, affine.rotation_deg) == (("z",), 180)
    turned = [row("case", (320, 320, 20), (0.625, 0.625, 3.6))]
    assert configured(turned).augment.affine.axes == ("x",)


def test_everything_else_is_the_packaged_recipe() -> None:
    recipe, base = configured(EVEN), load_recipe("nnunet")
    assert recipe.augment == base.augment
    assert recipe.optim == base.optim
    assert recipe.training == base.training.model_copy(update={"batch_size": recipe.training.batch_size})
    changed = {key for key in Recipe.model_fields if getattr(recipe, key) != getattr(base, key)}
    assert changed == {"name", "description", "grid", "intensity"}  # even patches are those of the packaged one


def test_people_can_read_it_and_train_with_it() -> None:
    recipe = configured(THICK)
    assert parse_recipe(recipe.to_documented_yaml(), where="mine.yaml") == recipe


def test_scans_without_labels_are_refused() -> None:
    with pytest.raises(BadInput, match="none of the 1 cases has a labelled voxel") as caught:
        configured([UNLABELLED])
    assert caught.value.code == "no-labels"
    assert caught.value.remedy
