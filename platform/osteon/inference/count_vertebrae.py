"""Numbers the vertebrae of a finished label volume one after the other, from the sacrum up, as a reader of scans does.

A network tells where a vertebra ends better than which one it is: in a scan whose proportions are new to it the names
slip by one, and a vertebra where the slip begins has two. The pieces are put in order, and of all numberings without a
gap or a repeat the one is taken that has the sacrum lowest, or else agrees with the most voxels. Whose last lumbar
vertebra has grown into the sacrum, or who has six, is numbered like everybody. Two vertebrae that touch and have one
name stay one. Knows no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cc3d
import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage

from osteon.core.geometry import Vector3
from osteon.core.labels import BACKGROUND, BONES, LabelTable
from osteon.core.volume import Labels

# From the sacrum up. A sixth lumbar and a thirteenth thoracic vertebra are passed over: few have them.
SPINE: Final = (
    "sacrum",
    *(f"vertebrae_L{number}" for number in range(5, 0, -1)),
    *(f"vertebrae_T{number}" for number in range(12, 0, -1)),
    *(f"vertebrae_C{number}" for number in range(7, 0, -1)),
)
SPINE_IDS: Final = tuple(BONES.ids[name] for name in SPINE)
_PLACE: Final = np.zeros(max(SPINE_IDS) + 1, dtype=np.int64)
_PLACE[list(SPINE_IDS)] = range(len(SPINE))
FRAGMENT: Final = 0.4  # of a neighbour's size; vertebrae next to each other differ less
LEAST_MM3: Final = 2000.0  # what is smaller and touches no vertebra is none
REACH_MM: Final = 60.0  # from vertebra to vertebra, centre to centre; lumbar ones are 40 mm apart at most
TOP_MM: Final = 30.0  # of the sacrum, as high as a vertebra


Numbers = npt.NDArray[np.unsignedinteger]


@dataclass(frozen=True)
class Piece:
    """What hangs together and is one vertebra, or the sacrum.

    Attributes:
        numbers: what it is in the array of pieces.
        votes: voxels by place in `SPINE`, as the network named them.
        centre_mm: z, y, x; of the sacrum that of its top.
    """

    numbers: tuple[int, ...]
    votes: npt.NDArray[np.int64]
    centre_mm: npt.NDArray[np.float64]

    @property
    def size(self) -> int:
        """Voxels."""
        return int(self.votes.sum())


def count_vertebrae(labels: Labels, table: LabelTable, spacing_mm: Vector3) -> Labels:
    """Number the vertebrae one after the other, in place; what is not in the table becomes background.

    Args:
        labels: label ids z, y, x, z from the feet up; 0 is background.
        table: the bones that can be named.
        spacing_mm: voxel size z, y, x.
    """
    block = surroundings(labels, SPINE_IDS)
    if not block.size:
        return labels
    spine = np.where(np.isin(block, SPINE_IDS), block, BACKGROUND)
    numbers: Numbers = cc3d.connected_components(spine, out_dtype=np.uint32)
    chain = _chain(_pieces(spine, numbers, spacing_mm))
    new_id = np.zeros(int(numbers.max(initial=0)) + 1, dtype=labels.dtype)
    new_id[numbers] = spine  # what is in no chain keeps its name
    for piece, place in zip(chain, _places(chain), strict=True):
        id_ = SPINE_IDS[place]
        new_id[list(piece.numbers)] = id_ if id_ in table.names else BACKGROUND
    np.copyto(block, new_id[numbers], where=numbers != 0)
    return labels


def surroundings(labels: Labels, ids: npt.ArrayLike) -> Labels:
    """The box of these bones and one voxel round it, a view: a bone on its border is one that the scan cuts off."""
    found = np.isin(labels, ids)
    box = []
    for axis in range(3):
        places = np.flatnonzero(found.any(axis=tuple({0, 1, 2} - {axis})))
        box.append(slice(max(0, places[0] - 1), places[-1] + 2) if len(places) else slice(0))
    return labels[tuple(box)]


def _pieces(spine: Labels, numbers: Numbers, spacing_mm: Vector3) -> list[Piece]:
    """The pieces, fragments joined to the one they touch most; whatever is cut off by the scan's end is no fragment."""
    owner = _owners(numbers, np.unique(numbers[spine == SPINE_IDS[0]]))
    voxels = np.nonzero(numbers)
    own, points_mm = owner[numbers[voxels]], np.column_stack(voxels) * np.asarray(spacing_mm)
    votes = np.bincount(own * len(SPINE) + _PLACE[spine[voxels]], minlength=len(owner) * len(SPINE))
    votes = votes.reshape(len(owner), len(SPINE))
    pieces = []
    for number in np.flatnonzero(votes.sum(axis=1) * np.prod(spacing_mm) >= LEAST_MM3):
        inside = points_mm[own == number]
        if votes[number].argmax() == 0:  # the sacrum
            inside = inside[inside[:, 0] > inside[:, 0].max() - TOP_MM]
        pieces.append(Piece(tuple(np.flatnonzero(owner == number).tolist()), votes[number], inside.mean(axis=0)))
    return pieces


def _owners(numbers: Numbers, sacra: Numbers) -> npt.NDArray[np.int64]:
    """Of every piece the one it belongs to: itself, or the larger vertebra that a fragment touches most."""
    sizes = np.bincount(numbers.ravel())
    kept = {int(number) for axis in range(3) for number in np.unique(numbers.take([0, -1], axis))} | set(sacra.tolist())
    touched: dict[int, dict[int, float]] = {}
    for (first, second), count in cc3d.contacts(numbers).items():
        touched.setdefault(first, {})[second] = count
        touched.setdefault(second, {})[first] = count
    owner = np.arange(len(sizes))
    for number in (np.argsort(-sizes[1:]) + 1).tolist():  # the largest first: an owner's own owner is known
        larger = {other: count for other, count in touched.get(number, {}).items() if sizes[other] > sizes[number]}
        larger = {other: count for other, count in larger.items() if owner[other] not in sacra}
        if larger and number not in kept:
            most = owner[max(larger, key=lambda other: larger[other])]
            owner[number] = most if sizes[number] < FRAGMENT * sizes[most] else number
    return owner


def _chain(pieces: list[Piece]) -> list[Piece]:
    """The pieces of the spine from the lowest up: those within reach of each other that hold the most voxels."""
    sacra = [piece for piece in pieces if piece.votes.argmax() == 0]
    pieces = _joined([piece for piece in pieces if piece.votes.argmax() > 0])
    if sacra:
        pieces.append(max(sacra, key=lambda piece: piece.size))
    if len(pieces) < 2:
        return pieces
    group = fcluster(linkage([piece.centre_mm for piece in pieces], "single"), REACH_MM, "distance")
    sizes = np.bincount(group, [piece.size for piece in pieces])
    chain = [piece for piece, number in zip(pieces, group, strict=True) if number == sizes.argmax()]
    return sorted(chain, key=lambda piece: piece.centre_mm[0])


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Fragments that touch nothing join what is near and has their name: the scan's end parts arch and body."""
    whole: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        for place, other in enumerate(whole):
            near = np.linalg.norm(piece.centre_mm - other.centre_mm) < REACH_MM
            if near and piece.votes.argmax() == other.votes.argmax() and piece.size < FRAGMENT * other.size:
                whole[place] = Piece(other.numbers + piece.numbers, other.votes + piece.votes, other.centre_mm)
                break
        else:
            whole.append(piece)
    return whole


def _places(chain: list[Piece]) -> list[int]:
    """Of each piece its place in `SPINE`: no gap but where one is seen; as many voxels as can be keep their name."""
    if not chain:
        return []
    steps = np.cumsum([0, *_steps(np.array([piece.centre_mm for piece in chain]))])
    sacrum = chain[0].votes.argmax() == 0 and chain[0].size > FRAGMENT * np.median([piece.size for piece in chain])
    starts = range(1) if sacrum else range(max(1, len(SPINE) - int(steps[-1])))
    votes = np.array([np.pad(piece.votes, (0, int(steps[-1]))) for piece in chain])
    best = max(starts, key=lambda start: votes[np.arange(len(chain)), start + steps].sum())
    return [min(int(best + step), len(SPINE) - 1) for step in steps]


def _steps(centres_mm: npt.NDArray[np.float64]) -> list[int]:
    """From each piece to the next: one, or more where the gap is that many times what those around it are."""
    gaps = np.linalg.norm(np.diff(centres_mm, axis=0), axis=1)
    around = [np.r_[gaps[max(0, place - 2) : place], gaps[place + 1 : place + 3]] for place in range(len(gaps))]
    return [
        max(1, round(gap / np.median(others))) if len(others) else 1 for gap, others in zip(gaps, around, strict=True)
    ]
