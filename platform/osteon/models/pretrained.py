"""Weights of a classifier of photographs as the start of an encoder of CT slices. Knows bytes, not where they lie."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping

import torch
from torch import Tensor

from osteon.core.errors import BadInput
from osteon.models.encoders2d import VGG16
from osteon.models.resnet50 import ResNet50

COUNTER = "num_batches_tracked"  # of batch norms; older files lack it, and nothing here uses it


def load_encoder(encoder: VGG16 | ResNet50, data: bytes, sha256: str, *, where: str) -> None:
    """Fill an encoder from a state dict with torchvision's names; layers that the encoder lacks are left out.

    The first convolution of three colours becomes one of grey values by adding up its weights: a slice then counts as
    a picture whose three colours are alike.

    Args:
        encoder: is changed.
        data: the file.
        sha256: its digest, in hexadecimal; checked before a byte is parsed.
        where: the file, for messages.

    Raises:
        BadInput: ``pretrained-digest`` or ``pretrained-weights``.
    """
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BadInput(
            "pretrained-digest",
            f"the file has SHA-256 {found[:12]}…, the recipe says {sha256[:12]}…",
            where=where,
            remedy="get the file again, or mend model.pretrained_sha256",
        )
    given = _parsed(data, where)
    wanted = encoder.state_dict()
    fitting = {name: _grey(given[name]) if name == encoder.first else given[name] for name in wanted if name in given}
    bad = [name for name, value in wanted.items() if not _fits(name, value, fitting)]
    if bad:
        raise BadInput(
            "pretrained-weights",
            f"no weights that fit for {len(bad)} of {len(wanted)} tensors of {type(encoder).__name__}, as {bad[0]}",
            where=where,
            remedy="give a state dict with torchvision's names of the same architecture",
        )
    encoder.load_state_dict(fitting, strict=False)


def _parsed(data: bytes, where: str) -> Mapping[str, Tensor]:
    try:
        values = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        return {str(name): value for name, value in values.items() if isinstance(value, Tensor)}
    except Exception as error:  # an unpickler may raise anything when it is given other bytes
        raise BadInput(
            "pretrained-weights",
            f"not a state dict of torch ({type(error).__name__})",
            where=where,
            remedy="give a file that torch.save wrote of a network's state_dict()",
        ) from error


def _grey(weight: Tensor) -> Tensor:
    """The first convolution's weights (out, colours, y, x) for one channel."""
    return weight.sum(dim=1, keepdim=True) if weight.ndim == 4 else weight


def _fits(name: str, wanted: Tensor, given: Mapping[str, Tensor]) -> bool:
    return given[name].shape == wanted.shape if name in given else name.endswith(COUNTER)
