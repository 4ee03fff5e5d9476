"""The documents of a MONAI bundle: metadata, the configuration that builds the network, a readme, a licence note.

Follows the MONAI Bundle Specification (docs.monai.io, "MONAI Bundle Specification").
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from osteon.core.labels import LabelTable
from osteon.recipes.recipe import Recipe

SCHEMA_URL = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
TASK = "Segmentation of bones in CT"


def metadata(recipe: Recipe, table: LabelTable, metrics: Mapping[str, float]) -> dict[str, Any]:
    """``configs/metadata.json``."""
    return {
        "schema": SCHEMA_URL,
        "version": "1.0.0",
        "changelog": {"1.0.0": "trained"},
        "monai_version": _release("monai"),
        "pytorch_version": _release("torch"),
        "numpy_version": _release("numpy"),
        "required_packages_version": {"osteon": _release("osteon")},
        "name": recipe.name,
        "task": TASK,
        "description": recipe.description or f"{TASK}: {len(table)} bones, recipe {recipe.name}.",
        "authors": "whoever trained the model",
        "copyright": "of whoever trained the model",
        "intended_use": "Research. Not a medical device.",
        "eval_metrics": dict(metrics),
        "network_data_format": {"inputs": {"image": _image(recipe)}, "outputs": {"pred": _pred(recipe, table)}},
    }


def inference_config(recipe: Recipe, table: LabelTable) -> dict[str, Any]:
    """``configs/inference.json``: builds the network with its weights and MONAI's own sliding window.

    Osteon itself applies a model through `osteon segment`; this file lets MONAI's tools open it.
    """
    kind = type(recipe.model)
    spec = {"_target_": f"{kind.__module__}.{kind.__name__}", **recipe.model.model_dump(mode="json")}
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "network_def": {
            "_target_": "osteon.models.build.build",
            "spec": spec,
            "num_classes": len(table) + 1,
        },
        "weights": "$torch.load(@bundle_root + '/models/model.pt', map_location=@device, weights_only=True)",
        "network": "$(@network_def.load_state_dict(@weights), @network_def.to(@device).eval())[1]",
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(recipe.inference.window_shape),
            "sw_batch_size": recipe.inference.batch_size,
            "overlap": recipe.inference.overlap,
            "mode": "gaussian",
        },
    }


def readme(recipe: Recipe, table: LabelTable, metrics: Mapping[str, float]) -> str:
    """``docs/README.md``."""
    spacing = recipe.grid.spacing_mm
    lines = [
        f"# {recipe.name}",
        "",
        recipe.description or TASK,
        "",
        "Apply it with `osteon segment MODEL SCAN OUTPUT`.",
        "",
        f"- Input: CT in Hounsfield units, axes z, y, x in LPS order, cut to {list(recipe.intensity.clip_hu)} HU, then "
        f"minus {recipe.intensity.mean:g}, over {recipe.intensity.std:g}; "
        + ("each scan's own voxels." if spacing is None else f"voxels of {list(spacing)} mm."),
        *(
            f"- Channel {k}: a context, as many voxels {2**k} times as large about the same centre; MONAI's inferer "
            "does not cut contexts."
            for k in range(1, 1 + recipe.model.num_contexts)
        ),
        f"- Output: scores of the background and {len(table)} bones, in the order below.",
        *(f"- {name}: {value:.4g}" for name, value in metrics.items()),
        "",
        "| class | id in label files | bone |",
        "|---|---|---|",
        *(f"| {number} | {label.id} | {label.name} |" for number, label in enumerate(table.labels, start=1)),
        "",
    ]
    return "\n".join(lines)


def licence() -> str:
    """``LICENSE``: Osteon cannot license what others train."""
    return (
        "The weights in this bundle belong to whoever trained them; replace this file by the licence they choose.\n"
        "The software that made the bundle, Osteon, is under the Apache License 2.0.\n"
    )


def _image(recipe: Recipe) -> dict[str, Any]:
    intensity = recipe.intensity
    low, high = ((hu - intensity.mean) / intensity.std for hu in intensity.clip_hu)
    views = ["image", *(f"context {k}, voxels {2**k} times as large" for k in range(1, 1 + recipe.model.num_contexts))]
    return {
        "type": "image",
        "format": "hounsfield",
        "modality": "CT",
        "num_channels": len(views),
        "spatial_shape": list(recipe.inference.window_shape),
        "dtype": "float32",
        "value_range": [low, high],
        "is_patch_data": True,
        "channel_def": {str(number): view for number, view in enumerate(views)},
    }


def _pred(recipe: Recipe, table: LabelTable) -> dict[str, Any]:
    names = ["background", *(label.name for label in table.labels)]
    return {
        "type": "image",
        "format": "labels",
        "modality": "n/a",
        "num_channels": len(names),
        "spatial_shape": list(recipe.inference.window_shape),
        "dtype": "float32",
        "value_range": [],
        "is_patch_data": True,
        "channel_def": {str(number): name for number, name in enumerate(names)},
    }


def _release(package: str) -> str:
    return version(package).partition("+")[0]
