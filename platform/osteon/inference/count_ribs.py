"""Numbers the ribs of a finished label volume: from each to the next by one, and by the vertebrae they hang on.

A rib is one piece, whatever names a network gave its parts, and the ribs of a side lie above one another wherever one
looks out from the body's middle. So they are counted along the side; where the count begins, the thoracic vertebrae
near them say and the names that most voxels have. Knows no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order, connected_components, minimum_spanning_tree
from scipy.spatial import KDTree

from osteon.core.geometry import Vector3
from osteon.core.labels import BACKGROUND, BONES, LabelTable
from osteon.core.volume import Labels
from osteon.inference.count_vertebrae import surroundings

Ints = npt.NDArray[np.int64]
Points = npt.NDArray[np.float64]

SIDES: Final = ("left", "right")
RIBS: Final = 12  # on a side
LEAST_MM3: Final = 1000.0  # what is smaller is not counted and keeps its name
NEAR_MM: Final = 10.0  # from a rib's head to its vertebra
HEAD_MM3: Final = 150.0  # of a rib that are so near, if it hangs there
GRAIN_MM: Final = 3.0  # to which that distance is measured
SECTORS: Final = 72  # of the circle round the body's middle

_RIB_IDS: Final = np.array([[BONES.ids[f"rib_{side}_{number}"] for number in range(1, RIBS + 1)] for side in SIDES])
_THORACIC_IDS: Final = np.array([BONES.ids[f"vertebrae_T{number}"] for number in range(1, RIBS + 1)])


@dataclass(frozen=True)
class Pieces:
    """The pieces of the ribs of one side.

    Attributes:
        numbers: of each, what it is in the array of pieces.
        votes: of each, voxels by number of the rib, as the network named them.
        hanging: of each, how much of it is near the thoracic vertebra of that number; of a whole head 1 in all.
        piece: of each voxel, its place in ``numbers``.
        points_mm: of each voxel, z, y, x.
    """

    numbers: Ints
    votes: Ints
    hanging: Points
    piece: Ints
    points_mm: Points


def count_ribs(labels: Labels, table: LabelTable, spacing_mm: Vector3) -> Labels:
    """Number the ribs of each side one after the other, in place; what is not in the table becomes background.

    Args:
        labels: label ids z, y, x, z from the feet up; 0 is background. Its vertebrae are named right.
        table: the bones that can be named.
        spacing_mm: voxel size z, y, x.
    """
    block = surroundings(labels, np.append(_RIB_IDS, _THORACIC_IDS))
    if not block.size:
        return labels
    numbers = cc3d.connected_components(np.isin(block, _RIB_IDS), out_dtype=np.uint32)
    new_id = np.zeros(int(numbers.max(initial=0)) + 1, dtype=labels.dtype)
    counted = np.zeros(len(new_id), dtype=bool)
    for ids, pieces in zip(_RIB_IDS, _pieces(block, numbers, spacing_mm), strict=True):
        for piece, rib in zip(pieces.numbers, _ribs(pieces), strict=True):
            counted[piece] = 1 <= rib <= RIBS  # a thirteenth, where something was counted twice, keeps its name
            id_ = int(ids[rib - 1]) if counted[piece] else BACKGROUND
            new_id[piece] = id_ if id_ in table.names else BACKGROUND
    np.copyto(block, new_id[numbers], where=counted[numbers])
    return labels


def _pieces(block: Labels, numbers: npt.NDArray[np.unsignedinteger], spacing_mm: Vector3) -> list[Pieces]:
    """The pieces of each side; a piece is on the side that most of its voxels are named after."""
    voxels = np.nonzero(numbers)
    owner, points_mm = numbers[voxels].astype(np.int64), np.column_stack(voxels) * np.asarray(spacing_mm)
    votes = _tally(owner, block[voxels], _RIB_IDS.ravel()).reshape(-1, *_RIB_IDS.shape)
    near_mm3 = _tally(owner, _vertebra_near(block, points_mm, spacing_mm), _THORACIC_IDS) * np.prod(spacing_mm)
    hanging = near_mm3 / np.maximum(HEAD_MM3, near_mm3.sum(axis=1, keepdims=True))
    side_of, enough = votes.sum(axis=2).argmax(axis=1), votes.sum(axis=(1, 2)) * np.prod(spacing_mm) >= LEAST_MM3
    sides = []
    for side in range(len(SIDES)):
        mine = np.flatnonzero(enough & (side_of == side))
        inside = np.isin(owner, mine)
        place = np.searchsorted(mine, owner[inside])
        sides.append(Pieces(mine, votes[mine, side], hanging[mine], place, points_mm[inside]))
    return sides


def _tally(owner: Ints, ids: npt.NDArray[np.integer], of: Ints) -> Ints:
    """Voxels by piece and id."""
    column = np.full(max(of.max(), ids.max(initial=0)) + 1, len(of))  # the last column is for all other ids
    column[of] = range(len(of))
    counts = np.bincount(owner * (len(of) + 1) + column[ids], minlength=(owner.max(initial=0) + 1) * (len(of) + 1))
    return counts.reshape(-1, len(of) + 1)[:, :-1]


def _vertebra_near(block: Labels, points_mm: Points, spacing_mm: Vector3) -> Ints:
    """Of each voxel of a rib the thoracic vertebra that is near, or 0."""
    coarse = tuple(slice(None, None, max(1, round(GRAIN_MM / size))) for size in spacing_mm)
    thinned = np.where(np.isin(block[coarse], _THORACIC_IDS), block[coarse], BACKGROUND)
    near = np.zeros(len(points_mm), dtype=np.int64)
    voxels = np.nonzero(thinned)
    if len(voxels[0]):
        step_mm = [size * part.step for size, part in zip(spacing_mm, coarse, strict=True)]
        tree = KDTree(np.column_stack(voxels) * step_mm)
        _, nearest = tree.query(points_mm, distance_upper_bound=NEAR_MM)
        near = np.append(thinned[voxels], BACKGROUND)[nearest].astype(np.int64)
    return near


def _ribs(pieces: Pieces) -> Ints:
    """The number of the rib that each piece is; what hangs together by neighbours is counted together."""
    steps, shared = _steps(pieces)
    size = len(pieces.numbers)
    pairs = np.array(list(steps), dtype=np.int64).reshape(-1, 2)
    tree = minimum_spanning_tree(coo_array((-np.array(list(shared.values()), float), pairs.T), (size, size)))
    _, groups = connected_components(tree, directed=False)
    ribs = np.zeros(size, dtype=np.int64)
    for group in np.unique(groups):
        members, before = breadth_first_order(tree, int(np.flatnonzero(groups == group)[0]), directed=False)
        for piece in members[1:]:
            ribs[piece] = ribs[before[piece]] - steps.get((before[piece], piece), -steps.get((piece, before[piece]), 0))
        ribs[members] += _begin(ribs[members], pieces.votes[members], pieces.hanging[members])
    return _closed_up(ribs, groups, pieces) if size else ribs


def _closed_up(ribs: Ints, groups: Ints, pieces: Pieces) -> Ints:
    """The ribs when groups that nothing joins leave out no single rib, and no two have one in common.

    A short twelfth rib and what a scan shows of the eleventh may lie above one another nowhere. Names slip by one more
    often than one rib is missing; so such groups move by one, away from that which vertebrae say most of.
    """
    spans = [(int(ribs[groups == group].min()), int(ribs[groups == group].max())) for group in range(groups.max() + 1)]
    order = sorted(range(len(spans)), key=spans.__getitem__)
    hung, named = (np.bincount(groups, tally.sum(axis=1)) for tally in (pieces.hanging, pieces.votes))
    sure = max(range(len(order)), key=lambda place: (hung[order[place]], named[order[place]]))
    moved = ribs.copy()

    def close(group: int, by: int) -> int:
        first, last = (end + by for end in spans[group])
        if abs(by) > 1 or hung[group] or first < 1 or last > RIBS:
            return 0
        moved[groups == group] += by
        return by

    first, last = spans[order[sure]]
    for group in reversed(order[:sure]):
        first = spans[group][0] + close(group, first - 1 - spans[group][1])
    for group in order[sure + 1 :]:
        last = spans[group][1] + close(group, last + 1 - spans[group][0])
    return moved


def _steps(pieces: Pieces) -> tuple[dict[tuple[int, int], int], dict[tuple[int, int], int]]:
    """By pair of neighbours: how many ribs the second lies above the first, and in how many sectors that is seen."""
    gaps_mm: dict[tuple[int, int], list[float]] = {}
    for edges_mm in _edges(pieces).transpose(1, 0, 2):
        seen = np.flatnonzero(np.isfinite(edges_mm[:, 0]))
        for pair in pairwise(seen[np.argsort(edges_mm[seen].sum(axis=1))].tolist()):
            first, second = sorted(pair)
            # Where the scan cuts both off, their cut edges are level; the others are as far apart as the ribs are.
            gap_mm = max(edges_mm[second] - edges_mm[first], key=abs)
            gaps_mm.setdefault((first, second), []).append(float(gap_mm))
    typical = np.median([abs(gap) for gaps in gaps_mm.values() for gap in gaps]) if gaps_mm else 1.0
    steps = {pair: round(float(np.median(gaps) / typical)) for pair, gaps in gaps_mm.items()}
    return steps, {pair: len(gaps) for pair, gaps in gaps_mm.items()}


def _edges(pieces: Pieces) -> Points:
    """The lowest and the highest z in mm of each piece in each sector: piece, sector, two; infinite where it is not."""
    low, high = np.full((2, len(pieces.numbers), SECTORS), np.inf)
    if len(pieces.points_mm):
        z, y, x = pieces.points_mm.T
        angle = np.arctan2(y - y.mean(), x - x.mean()) / (2 * np.pi)
        place = (pieces.piece, (angle * SECTORS).astype(np.int64) % SECTORS)
        np.minimum.at(low, place, z)
        high[np.isfinite(low)] = -np.inf
        np.maximum.at(high, place, z)
    return np.stack([low, high], axis=2)


def _begin(ribs: Ints, votes: Ints, hanging: Points) -> int:
    """What is to be added to all, so that vertebrae and names agree best; vertebrae that are near count twice."""

    def agreement(begin: int) -> float:
        known = (ribs + begin >= 1) & (ribs + begin <= RIBS)
        rows, columns = np.flatnonzero(known), ribs[known] + begin - 1
        named = votes[rows, columns].sum() / max(1, votes.sum())
        hung = hanging[rows, columns].sum() / max(1.0, hanging.sum())
        return float(named + 2 * hung)

    return max(range(1 - int(ribs.max()), RIBS + 1 - int(ribs.min())), key=agreement)
