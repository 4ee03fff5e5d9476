from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from osteon.core.geometry import Vector3
from osteon.core.labels import LabelTable
from osteon.data.loader import Batch


@pytest.fixture
def make_batch(table: LabelTable) -> Callable[..., Batch]:
    """Random images and classes; contexts on request."""

    def make(
        size: int = 2, side: int = 12, *, num_contexts: int = 0, spacing_mm: Vector3 = (1.5, 1.5, 1.5), seed: int = 0
    ) -> Batch:
        chance = torch.Generator().manual_seed(seed)
        shape = (size, 1, side, side, side)
        views = [torch.randn(shape, generator=chance) for _ in range(num_contexts + 1)]
        labels = torch.randint(len(table) + 1, (size, side, side, side), generator=chance).to(torch.uint8)
        return Batch(views[0], labels, (), tuple(views[1:]), (spacing_mm,) * size)

    return make
