"""The models of a service as callers see them: from what each says of itself, without its weights."""

from __future__ import annotations

import torch

from osteon.models.build import build
from osteon.recipes.bundle import read_card
from osteon.serve.schemas import Model, ModelBone


def describe(name: str, url: str) -> Model:
    """What callers are told of the model at a URL.

    Raises:
        BadInput, CorruptData: as `read_card`.
    """
    card = read_card(url)
    with torch.device("meta"):  # counted, not made
        network = build(card.recipe.model, num_classes=len(card.table) + 1)
    return Model(
        name=name,
        digest=card.digest,
        description=card.recipe.description,
        spacing_mm=card.recipe.grid.spacing_mm,
        parameters=sum(weight.numel() for weight in network.parameters()),
        bones=tuple(ModelBone(name=bone.name, id=bone.id, color=bone.color) for bone in card.table.labels),
    )
