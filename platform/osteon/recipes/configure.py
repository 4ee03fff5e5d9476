"""A recipe derived from a dataset, as nnU-Net's `3d_fullres` configures itself: every number stands in it."""

from __future__ import annotations

from collections.abc import Sequence

from osteon.core.errors import BadInput
from osteon.core.labels import BACKGROUND
from osteon.data.augment import AugmentSpec
from osteon.data.augment.spatial import AffineSpec
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.models.volume_specs import NnUNetSpec
from osteon.recipes.nnunet_plan import ANISOTROPIC, Plan, Topology, plan
from osteon.recipes.recipe import Recipe, load_recipe
from osteon.storage.catalog import CatalogRow
from osteon.storage.fingerprint import Fingerprint

BASE = "nnunet"
LOWEST, HIGHEST = 0.5, 99.5  # percentiles of the labelled voxels' HU, kept by the clip
FREE_LEVELS = 2  # the two coarsest have no loss: the bottleneck, and the level above it


def configure(rows: Sequence[CatalogRow], fingerprint: Fingerprint, *, name: str, memory_gb: float) -> Recipe:
    """The packaged recipe ``nnunet`` with what the labelled cases of a dataset ask for.

    nnU-Net takes intensities from a sample of 10,000 labelled voxels per case; here they come from all of them.

    Args:
        rows: the dataset's catalog.
        fingerprint: the dataset's.
        name: the recipe's.
        memory_gb: of the accelerator to be filled; nnU-Net's default is 8.

    Raises:
        BadInput: ``no-labels``, if no case has a labelled voxel.
    """
    labelled = [row for row in rows if row.has_labels]
    classes = {BACKGROUND}.union(*(row.labels for row in labelled))
    if not labelled or fingerprint.foreground is None:
        raise BadInput(
            "no-labels",
            f"none of the {len(rows)} cases has a labelled voxel to plan from",
            remedy="ingest the scans together with their labels",
        )
    made = plan([row.spacing_mm for row in labelled], [row.shape for row in labelled], len(classes), memory_gb)
    hu, base, patch_shape = fingerprint.foreground, load_recipe(BASE), made.topology.patch_shape
    values = {
        "name": name,
        "description": f"nnU-Net 3d_fullres, planned from {_counted(labelled)} for {memory_gb:g} GB.",
        "grid": ModelGrid(spacing_mm=made.spacing_mm),
        "intensity": Intensity(
            clip_hu=(hu.percentiles_hu[LOWEST], hu.percentiles_hu[HIGHEST]), mean=hu.mean_hu, std=max(hu.std_hu, 1e-8)
        ),
        "model": _spec(made.topology),
        "augment": _augment(base.augment, made),
        "sampling": base.sampling.model_copy(update={"patch_shape": patch_shape}),
        "inference": base.inference.model_copy(update={"window_shape": patch_shape}),
        "loss": base.loss.model_copy(update={"batch_dice": made.batch_dice}),
        "training": base.training.model_copy(update={"batch_size": made.batch_size}),
    }
    return Recipe.model_validate({**{key: getattr(base, key) for key in Recipe.model_fields}, **values})


def _counted(rows: Sequence[CatalogRow]) -> str:
    return "1 case" if len(rows) == 1 else f"{len(rows)} cases"


def _augment(spec: AugmentSpec, made: Plan) -> AugmentSpec:
    """Flat patches turn in their plane alone, but all the way round, as in nnU-Net's trainer."""
    patch_shape, coarsest = made.topology.patch_shape, made.spacing_mm.index(max(made.spacing_mm))
    if max(patch_shape) <= ANISOTROPIC * patch_shape[coarsest]:
        return spec
    affine = {**spec.affine.model_dump(), "axes": ("zyx"[coarsest],), "rotation_deg": 180}
    return spec.model_copy(update={"affine": AffineSpec.model_validate(affine)})


def _spec(topology: Topology) -> NnUNetSpec:
    levels = len(topology.strides)
    return NnUNetSpec.model_validate(
        {
            "channels": topology.channels,
            "strides": topology.strides,
            "kernels": topology.kernels,
            "num_auxiliary": max(0, levels - 1 - FREE_LEVELS),
        }
    )
