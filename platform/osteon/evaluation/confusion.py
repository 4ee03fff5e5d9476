"""Which bones were taken for which: wrong sides and mix-ups, summed over cases. Knows voxel counts, no arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

from osteon.core.labels import BACKGROUND, LabelTable, other_side
from osteon.evaluation.scores import Confusion, Score

MAX_MIX_UPS = 20
NOTABLE_SHARE = 0.01  # of a bone on the wrong side; less is a ragged edge where two bones touch
Side = Literal["left", "right"]
Counts = dict[int, Counter[int]]
"""Voxels by reference id, then by predicted id."""


class SideRow(Score):
    """Where the reference voxels of a bone with a left and a right went, summed over all cases.

    Attributes:
        id: label id of the reference bone.
        name: its name; it ends, or begins, with its true side.
        side: the true side.
        voxels: reference voxels; the others are parts of it.
        left: called some bone of the left side.
        right: called some bone of the right side.
        midline: called a bone without a side.
        background: called no scored bone.
        twin: called the very same bone of the other side (part of ``left`` or ``right``).
    """

    id: int
    name: str
    side: Side
    voxels: int
    left: int
    right: int
    midline: int
    background: int
    twin: int

    @property
    def wrong_side(self) -> int:
        """Voxels that were called a bone of the other side."""
        return self.right if self.side == "left" else self.left

    @property
    def wrong_side_share(self) -> float:
        """The share of the bone that was called a bone of the other side."""
        return self.wrong_side / self.voxels

    @property
    def is_swapped(self) -> bool:
        """Whether enough of the bone is on the wrong side that somebody should look."""
        return self.wrong_side_share >= NOTABLE_SHARE


class MixUp(Score):
    """Voxels of one bone that were called another bone, summed over all cases.

    Attributes:
        reference: name of the bone.
        predicted: name it was called.
        voxels: how many.
        share: of the reference voxels of the bone.
    """

    reference: str
    predicted: str
    voxels: int
    share: float


def add_up(pairs: Iterable[Confusion]) -> Counts:
    """The counts of all cases together."""
    counts: Counts = {}
    for pair in pairs:
        counts.setdefault(pair.reference_id, Counter())[pair.predicted_id] += pair.voxels
    return counts


def side_of(name: str) -> Side | None:
    """The side of the body in a bone's name."""
    if other_side(name) == name:
        return None
    return "left" if "left" in name else "right"


def sides(counts: Counts, table: LabelTable) -> tuple[SideRow, ...]:
    """A row for every bone of the references whose name has a side, in order of id."""
    return tuple(
        _side_row(label.id, side, counts[label.id], table)
        for label in table.labels
        if label.id in counts and (side := side_of(label.name)) is not None
    )


def mix_ups(counts: Counts, table: LabelTable) -> tuple[MixUp, ...]:
    """The pairs of bones with the largest share of the reference bone called the other, largest first."""
    pairs = [
        MixUp(
            reference=label.name,
            predicted=table.names[predicted],
            voxels=voxels,
            share=voxels / counts[label.id].total(),
        )
        for label in table.labels
        for predicted, voxels in counts.get(label.id, Counter[int]()).items()
        if predicted not in (BACKGROUND, label.id)
    ]
    return tuple(sorted(pairs, key=lambda pair: -pair.share)[:MAX_MIX_UPS])


def _side_row(id_: int, side: Side, row: Counter[int], table: LabelTable) -> SideRow:
    called: Counter[str] = Counter()
    for predicted, voxels in row.items():
        place = "background" if predicted == BACKGROUND else side_of(table.names[predicted]) or "midline"
        called[place] += voxels
    name = table.names[id_]
    return SideRow(
        id=id_,
        name=name,
        side=side,
        voxels=row.total(),
        left=called["left"],
        right=called["right"],
        midline=called["midline"],
        background=called["background"],
        twin=row[table.mirrored()[id_]] if table.mirrored()[id_] != id_ else 0,
    )
