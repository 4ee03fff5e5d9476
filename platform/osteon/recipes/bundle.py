"""A trained model as a MONAI bundle: network, weights, recipe, bones and a manifest of SHA-256 digests put last.

Loading checks every digest before a byte is parsed, and parses the weights as tensors only.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from osteon.core.errors import BadInput, CorruptData
from osteon.core.labels import LabelTable
from osteon.inference.backends import BackendName, open_backend
from osteon.inference.segmenter import Segmenter
from osteon.models.build import EnsembleSpec, build
from osteon.models.ensemble import Ensemble
from osteon.models.network import Network
from osteon.recipes.bundle_text import inference_config, licence, metadata, readme
from osteon.recipes.recipe import Recipe, differing_keys, parse_recipe
from osteon.storage.stores import Store, open_store

MANIFEST = "MANIFEST.json"
RECIPE = "recipe.yaml"
LABELS = "labels.json"
WEIGHTS = "models/model.pt"


class FileDigest(BaseModel):
    """One file of a bundle."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str
    num_bytes: int


class BundleManifest(BaseModel):
    """Every file of a bundle by its path."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    files: dict[str, FileDigest]


@dataclass(frozen=True)
class BundleCard:
    """What a model says of itself.

    Attributes:
        recipe: how it was trained and how it is to be applied.
        table: the bones of classes 1, 2, … in order.
        digest: SHA-256 of the manifest, in hexadecimal: names exactly this model.
    """

    recipe: Recipe
    table: LabelTable
    digest: str


@dataclass(frozen=True)
class Bundle:
    """A model ready to be used.

    Attributes:
        recipe: how it was trained and how it is to be applied.
        table: the bones of classes 1, 2, … in order.
        network: with trained weights, on the CPU, in evaluation mode.
        digest: SHA-256 of the manifest, in hexadecimal: names exactly this model.
    """

    recipe: Recipe
    table: LabelTable
    network: Network
    digest: str


def save_bundle(
    store: Store, prefix: str, recipe: Recipe, table: LabelTable, network: Network, metrics: Mapping[str, float]
) -> str:
    """Write the bundle below ``prefix`` of ``store`` ("" for the store itself); its digest.

    Args:
        store: where to.
        prefix: folder in it.
        recipe: what the network was trained by.
        table: its bones.
        network: the weights to keep.
        metrics: numbers to state in the metadata, for example ``mean_dice``.
    """
    folder = store.child(prefix) if prefix else store
    files = {
        "LICENSE": licence().encode(),
        "configs/metadata.json": _json(metadata(recipe, table, metrics)),
        "configs/inference.json": _json(inference_config(recipe, table)),
        "docs/README.md": readme(recipe, table, metrics).encode(),
        RECIPE: recipe.to_yaml().encode(),
        LABELS: _json({str(label.id): label.name for label in table.labels}),
        WEIGHTS: _weights(network),
    }
    for path, data in files.items():
        folder.write_bytes(path, data)
    digests = {path: FileDigest(sha256=_sha256(data), num_bytes=len(data)) for path, data in files.items()}
    manifest = BundleManifest(files=digests).model_dump_json(indent=2).encode()
    folder.write_bytes(MANIFEST, manifest)
    return _sha256(manifest)


def has_bundle(store: Store) -> bool:
    """Whether a finished bundle lies in ``store``."""
    return store.exists(MANIFEST)


def read_card(url: str) -> BundleCard:
    """What a model says of itself; its weights are neither read nor checked.

    Raises:
        BadInput, CorruptData: as `load_bundle`.
    """
    store, manifest = _opened(url)
    files = _checked_files(store, manifest, (RECIPE, LABELS))
    with _usable(url):
        return _card(url, files, manifest)


def load_bundle(url: str) -> Bundle:
    """The model at a URL or path.

    Raises:
        BadInput: ``no-model`` if there is none.
        CorruptData: ``bundle-digest`` if a file is not what was written, ``bad-bundle`` if it cannot be used.
    """
    store, manifest = _opened(url)
    files = _checked_files(store, manifest)
    with _usable(url):
        card = _card(url, files, manifest)
        network = build(card.recipe.model, num_classes=len(card.table) + 1)
        network.load_state_dict(torch.load(io.BytesIO(files[WEIGHTS]), map_location="cpu", weights_only=True))
    return Bundle(card.recipe, card.table, network.eval(), card.digest)


def _opened(url: str) -> tuple[Store, bytes]:
    store = open_store(url)
    try:
        return store, store.read_bytes(MANIFEST)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise BadInput(
            "no-model",
            f"there is no {MANIFEST}: this is not a finished model",
            where=url,
            remedy="give the folder RUN/model that osteon train left",
        ) from error


@contextmanager
def _usable(url: str) -> Iterator[None]:
    try:
        yield
    except (KeyError, ValueError, RuntimeError, pickle.UnpicklingError, BadInput) as error:
        first = str(error).partition("\n")[0].rstrip(":")
        remedy = "train it again, or use the version of Osteon that made it"
        raise CorruptData("bad-bundle", f"the model cannot be used: {first}", where=url, remedy=remedy) from error


def _card(url: str, files: Mapping[str, bytes], manifest: bytes) -> BundleCard:
    recipe = parse_recipe(files[RECIPE].decode(), where=f"{url}/{RECIPE}")
    table = LabelTable.of({int(id_): str(name) for id_, name in json.loads(files[LABELS]).items()})
    return BundleCard(recipe, table, _sha256(manifest))


def ensemble_of(bundles: Sequence[Bundle]) -> tuple[Recipe, LabelTable, Network]:
    """Models side by side as one, with their probabilities averaged: what `save_bundle` takes.

    Args:
        bundles: one at least. Their recipes may differ in ``training`` alone, for example in the cases of a fold; the
            first one's is kept.

    Raises:
        BadInput: ``other-recipe`` or ``other-bones``, naming what differs.
    """
    first = bundles[0]
    for number, bundle in enumerate(bundles[1:], start=2):
        _check_alike(first, bundle, f"model {number} of {len(bundles)}")
    model = EnsembleSpec.model_validate({"members": len(bundles), "member": first.recipe.model})
    description = f"Ensemble of {len(bundles)}. {first.recipe.description}".strip()
    recipe = first.recipe.model_copy(update={"model": model, "description": description})
    return recipe, first.table, Ensemble([bundle.network for bundle in bundles]).eval()


def _check_alike(first: Bundle, other: Bundle, where: str) -> None:
    keys = [key for key in differing_keys(first.recipe, other.recipe) if not key.startswith("training.")]
    if keys:
        raise BadInput(
            "other-recipe",
            f"its recipe differs from that of model 1 in {', '.join(keys)}",
            where=where,
            remedy="join models of one recipe; only its section training may differ",
        )
    if first.table != other.table:
        unlike = sorted({name for _, name in set(first.table.names.items()) ^ set(other.table.names.items())})
        raise BadInput(
            "other-bones",
            f"it and model 1 do not tell apart the same bones: {', '.join(unlike)} differ",
            where=where,
            remedy="train every model on cases that show all the bones",
        )


def segmenter_of(bundle: Bundle, backend: BackendName = "auto", num_threads: int = 0) -> Segmenter:
    """The model on an engine, as its recipe says it is to be applied; threads as `open_backend` says."""
    recipe = bundle.recipe
    spec = recipe.inference
    engine = open_backend(bundle.network, backend, spec.window_shape, spec.batch_size, num_threads=num_threads)
    return Segmenter(engine, bundle.table, recipe.inference, recipe.intensity, recipe.grid, recipe.postprocess)


def _checked_files(store: Store, manifest: bytes, only: Sequence[str] | None = None) -> dict[str, bytes]:
    try:
        listed = BundleManifest.model_validate_json(manifest).files
    except ValidationError as error:
        raise CorruptData("bad-bundle", f"{MANIFEST} is damaged", where=store.url) from error
    files = {}
    for path in only or listed:
        if path not in listed:
            raise CorruptData("bad-bundle", f"{MANIFEST} names no {path}", where=store.url)
        digest = listed[path]
        try:
            data = store.read_bytes(path)
        except FileNotFoundError:
            data = b""
        if len(data) != digest.num_bytes or _sha256(data) != digest.sha256:
            raise CorruptData(
                "bundle-digest",
                f"{path} has SHA-256 {_sha256(data)[:12]}…, the manifest says {digest.sha256[:12]}…",
                where=store.url,
                remedy="copy the model again from where it was trained",
            )
        files[path] = data
    return files


def _weights(network: Network) -> bytes:
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in network.state_dict().items()}, buffer)
    return buffer.getvalue()


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
