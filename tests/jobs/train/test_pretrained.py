"""Runs that start from a file of weights: read when a run begins, not when it is resumed or its model is used."""

import hashlib
import io
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

from osteon.core.errors import BadInput
from osteon.jobs.pretrained import start_from_weights
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.train import save_model
from osteon.models.encoders2d import VGG16
from osteon.models.unet2d import UNet2d
from osteon.recipes.bundle import load_bundle
from osteon.recipes.recipe import Recipe, load_recipe

SMALL = ("training.steps=2", "sampling.patch_shape=[2, 16, 16]", "inference.window_shape=[1, 32, 32]")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of VGG-16 weights."""
    torch.manual_seed(8)
    state = VGG16().state_dict()
    state["features.0.weight"] = state["features.0.weight"].repeat(1, 3, 1, 1)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    path = tmp_path / "vgg16.pth"
    path.write_bytes(buffer.getvalue())
    return path


def model(place: object, file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return (
        "model={architecture: unet2d-vgg16, decoder: [4, 4, 4, 4], "
        f"pretrained: {str(place)!r}, pretrained_sha256: '{digest}'}}"
    )


def started(recipe: Recipe) -> torch.Tensor:
    """Some encoder weights of the recipe's network when training begins."""
    network = recipe.model.build(2)
    assert isinstance(network, UNet2d)
    start_from_weights(recipe, network)
    found: torch.Tensor = network.encoder.state_dict()["features.21.weight"]
    return found


def expected(file: Path) -> torch.Tensor:
    state: dict[str, torch.Tensor] = torch.load(file, weights_only=True)
    return state["features.21.weight"]


def test_run_starts_from_the_file_and_needs_it_no_more(
    alone: Any, tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(weights.parent)
    folder: RunFolder = alone.start(tmp_path / "run", model(weights.name, weights), *SMALL, "optim.learning_rate=1e-9")
    assert folder.record().recipe.model.model_dump()["pretrained"] == weights.as_uri()  # workers are elsewhere
    monkeypatch.chdir("/")
    alone.go_on(folder)
    begun = expected(weights)
    weights.unlink()
    alone.go_on(folder)
    save_model(folder, folder.record())
    network = load_bundle(folder.model.url).network
    assert isinstance(network, UNet2d)
    torch.testing.assert_close(network.encoder.state_dict()["features.21.weight"], begun, atol=1e-6, rtol=1e-3)


def test_weights_come_over_http(recipe: str, weights: Path) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(weights.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/{weights.name}"
        found = started(load_recipe(recipe, [model(url, weights), *SMALL]))
        with pytest.raises(BadInput, match=r"no file of weights \(HTTP Error 404"):
            started(load_recipe(recipe, [model(url + "x", weights), *SMALL]))
        server.shutdown()
    assert torch.equal(found, expected(weights))


def test_missing_file_is_refused(recipe: str, weights: Path) -> None:
    missing = load_recipe(recipe, [model(weights.with_name("none.pth"), weights), *SMALL])
    with pytest.raises(BadInput, match=r"none\.pth: there is no file of weights .*\[no-weights\] — mend model\.pretr"):
        started(missing)


def test_recipe_refuses_weights_without_a_digest(recipe: str) -> None:
    with pytest.raises(BadInput, match="pretrained and pretrained_sha256 go together"):
        load_recipe(recipe, ["model={architecture: unet2d-vgg16, pretrained: vgg16.pth}", *SMALL])
