"""Mirroring. A mirrored body's left bones are right bones, so their classes are swapped with it.

Two mirrorings make a rotation, so classes are swapped when the number of mirrored axes is odd. A patch holding a bone
of one side whose twin the label table lacks stays as it is: mirrored, it would teach the wrong side.
"""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from osteon.core.labels import LabelTable, other_side
from osteon.data.augment.transform import Labels, Probability, Transform, Views

_DIMS = {"z": -3, "y": -2, "x": -1}


class FlipSpec(Transform):
    """Mirroring along axes, each drawn for itself."""

    probability: Probability = 0.5
    axes: tuple[Literal["z", "y", "x"], ...] = Field(
        default=("x",),
        description="Axes that may be mirrored; x is left to right, the only one that gives a body as scanned.",
    )


def flip(views: Views, labels: Labels, spec: FlipSpec, table: LabelTable, generator: Generator) -> None:
    """Mirror the drawn samples of every view and of its labels, in place; classes change sides."""
    drawn = {axis: spec.draw_rows(len(views[0]), generator) for axis in spec.axes}
    if not any(len(rows) for rows in drawn.values()):
        return
    allowed = torch.stack([_can_be_mirrored(each, table) for each in labels]).all(dim=0)
    swapped = torch.zeros(len(views[0]), dtype=torch.bool)
    for axis, rows in drawn.items():
        rows = rows[allowed[rows]]
        swapped[rows] ^= True
        where = rows.to(views[0].device)
        for tensor in (*views, *labels):
            tensor[where] = tensor[where].flip(_DIMS[axis])
    where = swapped.nonzero().flatten().to(views[0].device)
    twin = twin_classes(table).to(views[0].device)
    for labels_BZYX in labels:
        labels_BZYX[where] = twin[labels_BZYX[where].long()].to(labels_BZYX.dtype)


def twin_classes(table: LabelTable) -> Tensor:
    """For every class 0 … n the class of the same bone on the other side, or itself."""
    class_of, mirrored = table.class_of(), table.mirrored()
    return torch.tensor([0, *(int(class_of[mirrored[label.id]]) for label in table.labels)])


def _can_be_mirrored(labels_BZYX: Tensor, table: LabelTable) -> Tensor:
    """Which samples (B,) hold no one-sided bone without a twin in the table; on the CPU."""
    lonely = [False, *(other_side(name) not in table.ids for name in table.ids)]
    if not any(lonely):
        return torch.ones(len(labels_BZYX), dtype=torch.bool)
    found = torch.tensor(lonely, device=labels_BZYX.device)[labels_BZYX.long()]
    return ~found.flatten(1).any(dim=1).cpu()
