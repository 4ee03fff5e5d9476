"""A saved model: comes back whole, is refused when damaged, and passes MONAI's own checks."""

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from monai.bundle.scripts import verify_metadata, verify_net_in_out

from osteon.core.errors import BadInput, CorruptData
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.inference.in_memory import InMemoryVolume
from osteon.models.build import build
from osteon.models.ensemble import Ensemble
from osteon.models.network import Network
from osteon.recipes.bundle import ensemble_of, load_bundle, save_bundle, segmenter_of
from osteon.recipes.bundle_text import metadata, readme
from osteon.recipes.recipe import Recipe, differing_keys, load_recipe
from osteon.storage.stores import open_store


class Saved(Protocol):
    path: Path
    recipe: Recipe
    table: LabelTable
    network: Network
    digest: str


def test_model_comes_back_as_it_was(saved: Saved) -> None:
    bundle = load_bundle(str(saved.path))
    assert (bundle.recipe, bundle.table, bundle.digest) == (saved.recipe, saved.table, saved.digest)
    assert not bundle.network.training
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(bundle.network(x), saved.network(x))


def test_same_model_has_the_same_digest_and_other_weights_another(saved: Saved, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "again"))
    assert save_bundle(store, "", saved.recipe, saved.table, saved.network, {"mean_dice": 0.75}) == saved.digest
    with torch.no_grad():
        saved.network.head.weight[0, 0] += 1
    assert save_bundle(store, "", saved.recipe, saved.table, saved.network, {"mean_dice": 0.75}) != saved.digest


def test_bundle_can_lie_below_a_prefix(saved: Saved, tmp_path: Path) -> None:
    save_bundle(open_store(str(tmp_path)), "deep/model", saved.recipe, saved.table, saved.network, {})
    assert load_bundle(str(tmp_path / "deep" / "model")).table == saved.table


@pytest.mark.parametrize(
    "name", ["models/model.pt", "recipe.yaml", "labels.json", "configs/inference.json", "docs/README.md", "LICENSE"]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_file_is_refused_and_named(saved: Saved, name: str, damage: str) -> None:
    path = saved.path / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-1])
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(CorruptData, match=name) as caught:
        load_bundle(str(saved.path))
    assert caught.value.code == "bundle-digest"


def test_a_folder_without_manifest_is_no_model(saved: Saved) -> None:
    (saved.path / "MANIFEST.json").unlink()
    with pytest.raises(BadInput) as caught:
        load_bundle(str(saved.path))
    assert caught.value.code == "no-model"


def test_a_damaged_manifest_is_refused(saved: Saved) -> None:
    (saved.path / "MANIFEST.json").write_text('{"files": 3}')
    with pytest.raises(CorruptData, match="MANIFEST"):
        load_bundle(str(saved.path))


def rewrite(saved: Saved, name: str, data: bytes) -> None:
    """Replace a file and put its digest into the manifest, as a forger would."""
    (saved.path / name).write_bytes(data)
    path = saved.path / "MANIFEST.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "num_bytes": len(data)}
    path.write_text(json.dumps(manifest))


class Payload:
    """Unpickling this writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_weights_cannot_run_code(saved: Saved, tmp_path: Path) -> None:
    target = tmp_path / "made"
    buffer = io.BytesIO()
    torch.save({"head.weight": Payload(target)}, buffer)
    rewrite(saved, "models/model.pt", buffer.getvalue())
    with pytest.raises(CorruptData, match="bad-bundle"):
        load_bundle(str(saved.path))
    assert not target.exists()


def test_weights_of_another_network_are_refused(saved: Saved) -> None:
    rewrite(saved, "recipe.yaml", saved.recipe.to_yaml().replace("- 8\n", "- 9\n").encode())
    with pytest.raises(CorruptData, match="bad-bundle"):
        load_bundle(str(saved.path))


def test_segmenter_gives_label_ids_of_the_table_on_the_scans_grid(saved: Saved) -> None:
    segmenter = segmenter_of(load_bundle(str(saved.path)), "torch")
    rng = np.random.default_rng(0)
    scan = InMemoryVolume(rng.integers(-200, 900, (9, 14, 11), dtype=np.int16), Grid((9, 14, 11), (3.0, 2.0, 2.5)))
    labels = segmenter.segment(scan)
    assert labels.shape == (9, 14, 11)
    assert set(np.unique(labels)) <= {0, 24, 86, 87}


@pytest.mark.parametrize("network", ["network_def", "network"])  # the second one loads the weights
def test_monai_runs_the_network_the_metadata_describes(
    saved: Saved, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.chdir(saved.path)
    verify_net_in_out(network, "configs/metadata.json", "configs/inference.json", device="cpu")


def test_monai_would_notice_other_channels(saved: Saved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(saved.path)
    wrong: dict[str, Any] = {"_meta_#network_data_format#outputs#pred#num_channels": 5}
    with pytest.raises(ValueError, match="output channel number"):
        verify_net_in_out("network_def", "configs/metadata.json", "configs/inference.json", device="cpu", **wrong)


@pytest.fixture
def ensemble(saved: Saved, tmp_path: Path) -> Path:
    """A bundle of three networks, each trained on a fold of its own."""
    bundles = [load_bundle(str(saved.path))]
    for seed in range(2):
        training = saved.recipe.training.model_copy(update={"seed": seed, "validation_cases": (f"case{seed}",)})
        torch.manual_seed(seed)
        network = build(saved.recipe.model, num_classes=4).eval()
        recipe = saved.recipe.model_copy(update={"training": training})
        save_bundle(open_store(str(tmp_path / str(seed))), "", recipe, saved.table, network, {})
        bundles.append(load_bundle(str(tmp_path / str(seed))))
    save_bundle(open_store(str(tmp_path / "ensemble")), "", *ensemble_of(bundles), {"mean_dice": 0.8})
    return tmp_path / "ensemble"


def test_ensemble_comes_back_with_the_weights_of_its_members(saved: Saved, ensemble: Path) -> None:
    bundle = load_bundle(str(ensemble))
    assert isinstance(bundle.network, Ensemble)
    assert (len(bundle.network.members), bundle.network.num_voters) == (3, 3)
    assert differing_keys(bundle.recipe, saved.recipe.model_copy(update={"model": bundle.recipe.model})) == (
        "description",
    )
    first = bundle.network.members[0].state_dict()
    assert all(torch.equal(first[name], value) for name, value in saved.network.state_dict().items())


def test_ensemble_segments_like_any_model(ensemble: Path) -> None:
    segmenter = segmenter_of(load_bundle(str(ensemble)), "torch")
    rng = np.random.default_rng(0)
    scan = InMemoryVolume(rng.integers(-200, 900, (9, 14, 11), dtype=np.int16), Grid((9, 14, 11), (3.0, 2.0, 2.5)))
    labels = segmenter.segment(scan)
    assert labels.shape == (9, 14, 11)
    assert len(np.unique(labels)) > 1
    assert set(np.unique(labels)) <= {0, 24, 86, 87}


@pytest.mark.parametrize("network", ["network_def", "network"])
def test_monai_runs_the_ensemble_the_metadata_describes(
    ensemble: Path, monkeypatch: pytest.MonkeyPatch, network: str
) -> None:
    monkeypatch.chdir(ensemble)
    verify_net_in_out(network, "configs/metadata.json", "configs/inference.json", device="cpu")


def test_models_of_other_recipes_or_bones_do_not_make_an_ensemble(saved: Saved) -> None:
    bundle = load_bundle(str(saved.path))
    intensity = bundle.recipe.intensity.model_copy(update={"mean": 5.0})
    other = replace(bundle, recipe=bundle.recipe.model_copy(update={"intensity": intensity}))
    with pytest.raises(BadInput, match=r"model 3 of 3: its recipe differs.*in intensity\.mean.*other-recipe"):
        ensemble_of([bundle, bundle, other])
    fewer = replace(bundle, table=bundle.table.subset({24, 86}))
    with pytest.raises(BadInput, match=r"model 2 of 2: .*same bones: femur_right differ.*other-bones"):
        ensemble_of([bundle, fewer])


SPECIFIED = {
    "version": "string",
    "changelog": "object",
    "monai_version": "string",
    "pytorch_version": "string",
    "numpy_version": "string",
    "required_packages_version": "object",
    "task": "string",
    "description": "string",
    "authors": "string",
    "copyright": "string",
    "network_data_format": "object",
}
TENSOR = {
    "type": {"enum": ["image", "series", "tuples", "probabilities"]},
    "format": {"enum": ["magnitude", "hounsfield", "kspace", "raw", "labels", "classes", "segmentation"]},
    "modality": {"type": "string"},
    "num_channels": {"type": "integer", "minimum": 1},
    "spatial_shape": {"type": "array", "minItems": 3, "maxItems": 3},
    "dtype": {"enum": ["float32"]},
    "value_range": {"type": "array"},
    "is_patch_data": {"type": "boolean"},
    "channel_def": {"type": "object", "minProperties": 1, "patternProperties": {"^[0-9]+$": {"type": "string"}}},
}


@pytest.mark.parametrize("kind", ["model", "ensemble"])
def test_monai_verifies_the_metadata_against_its_specification(ensemble: Path, tmp_path: Path, kind: str) -> None:
    """The schema that MONAI would download is written out here from the text of its bundle specification."""
    tensor = {"type": "object", "required": list(TENSOR), "properties": TENSOR}
    tensors = {"type": "object", "minProperties": 1, "additionalProperties": tensor}
    formats = {"type": "object", "required": ["inputs", "outputs"], "additionalProperties": tensors}
    properties: dict[str, Any] = {name: {"type": kind} for name, kind in SPECIFIED.items()}
    properties["network_data_format"] = formats
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps({"type": "object", "required": list(SPECIFIED), "properties": properties}))
    digest = hashlib.sha256(schema.read_bytes()).hexdigest()
    path = ensemble.parent / kind / "configs/metadata.json"
    verify_metadata(str(path), filepath=str(schema), hash_val=digest, hash_type="sha256")
    metadata = json.loads(path.read_text())
    del metadata["network_data_format"]["outputs"]["pred"]["channel_def"]
    path.write_text(json.dumps(metadata))
    with pytest.raises(ValueError, match="channel_def"):
        verify_metadata(str(path), filepath=str(schema), hash_val=digest, hash_type="sha256")


def test_contexts_are_channels_of_the_input(saved: Saved) -> None:
    recipe = load_recipe("schnider2022-sneakynet-k2")
    image = metadata(recipe, saved.table, {})["network_data_format"]["inputs"]["image"]
    assert image["num_channels"] == 3
    assert image["channel_def"]["2"] == "context 2, voxels 4 times as large"
    assert "Channel 2: a context" in readme(recipe, saved.table, {})


def test_metadata_names_the_channels_and_the_measured_dice(saved: Saved) -> None:
    metadata = json.loads((saved.path / "configs/metadata.json").read_text())
    pred = metadata["network_data_format"]["outputs"]["pred"]
    assert pred["channel_def"] == {"0": "background", "1": "vertebrae_L1", "2": "femur_left", "3": "femur_right"}
    assert metadata["eval_metrics"] == {"mean_dice": 0.75}
