"""Where the weights lie that a network starts from: they are fetched when a run begins, never when a model is used."""

from __future__ import annotations

from urllib.error import URLError
from urllib.request import urlopen

from osteon.core.errors import BadInput
from osteon.models.encoders2d import PlainEncoder
from osteon.models.network import Network
from osteon.models.pretrained import load_encoder
from osteon.models.slice_specs import PretrainedUNet2dSpec
from osteon.models.unet2d import UNet2d
from osteon.recipes.recipe import Recipe
from osteon.storage.stores import open_store

TIMEOUT_S = 60.0


def locate_weights(recipe: Recipe) -> Recipe:
    """The same recipe with the weights' place as a URL: workers do not share this process's folder."""
    model = recipe.model
    if not isinstance(model, PretrainedUNet2dSpec) or model.pretrained is None or _on_the_web(model.pretrained):
        return recipe
    url = open_store(model.pretrained).url
    return recipe.model_copy(update={"model": model.model_copy(update={"pretrained": url})})


def start_from_weights(recipe: Recipe, network: Network) -> None:
    """Put the weights that the recipe names into its fresh network; nothing if it names none.

    Raises:
        BadInput: ``no-weights``, or what `load_encoder` raises.
    """
    model = recipe.model
    if not isinstance(model, PretrainedUNet2dSpec) or model.pretrained is None or model.pretrained_sha256 is None:
        return
    assert isinstance(network, UNet2d)
    assert not isinstance(network.encoder, PlainEncoder)
    load_encoder(network.encoder, _read(model.pretrained), model.pretrained_sha256, where=model.pretrained)


def _read(url: str) -> bytes:
    try:
        if _on_the_web(url):
            with urlopen(url, timeout=TIMEOUT_S) as response:
                data: bytes = response.read()
                return data
        folder, name = open_store(url).parent_and_name
        return folder.read_bytes(name)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, URLError) as error:
        raise BadInput(
            "no-weights",
            f"there is no file of weights ({' '.join(str(error).split()):.60})",
            where=url,
            remedy="mend model.pretrained, or leave it out to train from fresh weights",
        ) from error


def _on_the_web(url: str) -> bool:
    return url.startswith(("https://", "http://"))
