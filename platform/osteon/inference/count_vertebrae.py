"""Numbers the vertebrae of a finished label volume one after the other, from the sacrum up, as a reader of scans does.

A network tells where a vertebra ends better than which one it is: in a scan whose proportions are new to it the names
slip by one, and where the slip begins a vertebra has two names, or a name is of two halves. So vertebrae are told apart
by the discs between them, put in order, and of all numberings without a gap or a repeat the one is taken that has the
sacrum lowest, or else agrees with the most voxels. Whose last lumbar vertebra has grown into the sacrum, or who has
six, is numbered like everybody. Knows no network.
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
from osteon.inference.discs import find_discs, in_body, middle_of

# From the sacrum up. A sixth lumbar and a thirteenth thoracic vertebra are passed over: few have them.
SPINE: Final = (
    "sacrum",
    *(f"vertebrae_L{number}" for number in range(5, 0, -1)),
    *(f"vertebrae_T{number}" for number in range(12, 0, -1)),
    *(f"vertebrae_C{number}" for number in range(7, 0, -1)),
)
SPINE_IDS: Final = np.array([BONES.ids[name] for name in SPINE])
SACRUM: Final = 0  # its place there
HALF: Final = 0.25  # of the body of a piece beyond a disc, if it is of two vertebrae
FRAGMENT: Final = 0.5  # of a vertebra; those next to each other differ less
APART: Final = 0.75  # of the distance of discs: centres of two vertebrae are at least that far apart
LEAST_MM3: Final = 2000.0  # what is smaller is not counted
REACH_MM: Final = 60.0  # from vertebra to vertebra, centre to centre; lumbar ones are 40 mm apart at most
TOP_MM: Final = 30.0  # of the sacrum, as high as a vertebra

_PLACE: Final = np.zeros(int(SPINE_IDS.max()) + 1, dtype=np.int64)
_PLACE[SPINE_IDS] = range(len(SPINE))

Ints = npt.NDArray[np.int64]
Voxels = tuple[Ints, ...]


@dataclass(frozen=True)
class Piece:
    """What hangs together between two discs and has one name; or what of that is one vertebra.

    Attributes:
        numbers: of the pieces.
        votes: voxels by place in `SPINE`, as the network named them.
        centre_mm: z, y, x; of the sacrum that of its top.
        interval: between which discs it lies.
        is_cut: whether the scan ends in it.
    """

    numbers: tuple[int, ...]
    votes: Ints
    centre_mm: npt.NDArray[np.float64]
    interval: int
    is_cut: bool

    @property
    def size(self) -> int:
        """Voxels."""
        return int(self.votes.sum())

    @property
    def name(self) -> int:
        """The place in `SPINE` that most of its voxels are named after."""
        return int(self.votes.argmax())

    def is_near(self, other: Piece) -> bool:
        """Whether both can be of one vertebra, as far as it is a matter of distance."""
        return bool(np.linalg.norm(self.centre_mm - other.centre_mm) < REACH_MM)

    def and_(self, part: Piece) -> Piece:
        """This and a part of it as one."""
        centre_mm = (self.size * self.centre_mm + part.size * part.centre_mm) / (self.size + part.size)
        is_cut = self.is_cut or part.is_cut
        return Piece(self.numbers + part.numbers, self.votes + part.votes, centre_mm, self.interval, is_cut)


def count_vertebrae(labels: Labels, table: LabelTable, spacing_mm: Vector3) -> Labels:
    """Number the vertebrae one after the other, in place; what is not in the table becomes background.

    Args:
        labels: label ids z, y, x, z from the feet up; 0 is background.
        table: the bones that can be named.
        spacing_mm: voxel size z, y, x.
    """
    block = surroundings(labels, SPINE_IDS)
    named = np.where(np.isin(block, SPINE_IDS), block, BACKGROUND)
    voxels = np.nonzero(named)
    if not len(voxels[0]):
        return labels
    spine = _Spine(block, voxels, spacing_mm)
    own = cc3d.connected_components(named)[voxels].astype(np.int64) - 1
    chain = _chain(spine.pieces(own, np.zeros_like(own)))
    number, interval, discs = spine.parted(own, [piece for piece in chain if piece.name != SACRUM])
    chain = _chain(_vertebrae(spine.pieces(number, interval), discs * spacing_mm[0]))
    ids = block[voxels]
    for vertebra, place in zip(chain, _places(chain), strict=True):
        id_ = int(SPINE_IDS[place])
        ids[np.isin(number, vertebra.numbers)] = id_ if id_ in table.names else BACKGROUND
    block[voxels] = ids
    return labels


def surroundings(labels: Labels, ids: npt.ArrayLike) -> Labels:
    """The box of these bones and one voxel round it, a view: a bone on its border is one that the scan cuts off."""
    found = np.isin(labels, ids)
    box = []
    for axis in range(3):
        places = np.flatnonzero(found.any(axis=tuple({0, 1, 2} - {axis})))
        box.append(slice(max(0, places[0] - 1), places[-1] + 2) if len(places) else slice(0))
    return labels[tuple(box)]


@dataclass(frozen=True)
class _Spine:
    """The voxels of vertebrae and sacrum.

    Attributes:
        block: labels.
        voxels: their z, y, x there.
        spacing_mm: voxel size z, y, x.
    """

    block: Labels
    voxels: Voxels
    spacing_mm: Vector3

    def pieces(self, number: Ints, interval: Ints) -> list[Piece]:
        """The pieces that are large enough.

        Args:
            number: of each voxel that of its piece.
            interval: of each voxel that of its piece.
        """
        place, points_mm = _PLACE[self.block[self.voxels]], np.column_stack(self.voxels) * np.asarray(self.spacing_mm)
        length = int(number.max()) + 1
        votes = np.bincount(number * len(SPINE) + place, minlength=length * len(SPINE)).reshape(length, len(SPINE))
        pieces = []
        for each in np.flatnonzero(votes.sum(axis=1) * np.prod(self.spacing_mm) >= LEAST_MM3).tolist():
            mine = number == each
            planes, inside = self.voxels[0][mine], points_mm[mine]
            is_cut = bool(planes.min() == 0 or planes.max() == len(self.block) - 1)
            if votes[each].argmax() == SACRUM:
                inside = inside[inside[:, 0] > inside[:, 0].max() - TOP_MM]
            pieces.append(Piece((each,), votes[each], inside.mean(axis=0), int(interval[mine][0]), is_cut))
        return pieces

    def parted(self, own: Ints, vertebrae: list[Piece]) -> tuple[Ints, Ints, Ints]:
        """Of each voxel the number and the interval of its piece, parted at discs if it is of two vertebrae; the discs.

        Args:
            own: of each voxel the number of its piece before.
            vertebrae: the pieces that are of the spine: no dust, no sacrum.
        """
        is_sacrum = _PLACE[self.block[self.voxels]] == SACRUM
        spine = np.zeros(self.block.shape, dtype=bool)
        is_of_them = np.isin(own, [piece.numbers for piece in vertebrae])
        spine[tuple(axis[is_of_them] for axis in self.voxels)] = True
        middle_mm = middle_of(spine, self.spacing_mm)
        discs = find_discs(spine, middle_mm, self.spacing_mm)
        count, length = len(discs) + 1, int(own.max()) + 1
        here = own * count + np.searchsorted(discs, self.voxels[0])
        voxels = np.bincount(here, minlength=length * count).reshape(length, count)
        bodies = np.bincount(here[in_body(self.voxels, middle_mm, self.spacing_mm)], minlength=length * count)
        bodies = bodies.reshape(length, count)
        most = np.where(bodies.any(axis=1), bodies.argmax(axis=1), voxels.argmax(axis=1))
        # A tilted vertebra reaches beyond its discs, too; one that is parted must lack a disc from the next.
        homes = np.bincount(most[[piece.numbers[0] for piece in vertebrae if not piece.is_cut]], minlength=count)
        is_two = bodies.sum(axis=1) - bodies.max(axis=1) >= HALF * np.maximum(1, bodies.sum(axis=1))
        is_two &= (homes > 1)[most]
        interval = np.where(is_two[own] & ~is_sacrum, here % count, most[own])
        _, number = np.unique(own * count + interval, return_inverse=True)
        return number, interval, discs


def _vertebrae(pieces: list[Piece], discs_mm: npt.NDArray[np.floating]) -> list[Piece]:
    """The pieces, those of one vertebra together.

    Args:
        pieces: each between two discs, or beyond the last.
        discs_mm: their heights.
    """
    gaps_mm = np.diff(discs_mm)

    def is_part(piece: Piece, of: Piece) -> bool:
        if SACRUM in (piece.name, of.name) or not piece.is_near(of):
            return False
        if piece.name == of.name:
            return piece.interval == of.interval or piece.size < FRAGMENT * of.size
        if piece.interval != of.interval or piece.is_cut or of.is_cut:
            return False
        around = gaps_mm[max(0, of.interval - 3) : of.interval + 2]
        apart = abs(float(piece.centre_mm[0] - of.centre_mm[0]))
        return len(around) > 0 and apart < APART * float(np.median(around))

    whole: list[Piece] = []
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        place = next((place for place, of in enumerate(whole) if is_part(piece, of)), None)
        if place is None:
            whole.append(piece)
        else:
            whole[place] = whole[place].and_(piece)
    return whole


def _chain(vertebrae: list[Piece]) -> list[Piece]:
    """From the lowest up, with the largest sacrum: those within reach of each other that hold the most voxels."""
    sacra = [piece for piece in vertebrae if piece.name == SACRUM]
    pieces = [piece for piece in vertebrae if piece.name != SACRUM]
    if sacra:
        pieces.append(max(sacra, key=lambda piece: piece.size))
    if len(pieces) < 2:
        return pieces
    group = fcluster(linkage([piece.centre_mm for piece in pieces], "single"), REACH_MM, "distance")
    sizes = np.bincount(group, [piece.size for piece in pieces])
    chain = [piece for piece, number in zip(pieces, group, strict=True) if number == sizes.argmax()]
    return sorted(chain, key=lambda piece: float(piece.centre_mm[0]))


def _places(chain: list[Piece]) -> list[int]:
    """Of each vertebra its place in `SPINE`.

    Of the first and the last a scan may hold so little that they are not counted: they are renamed as the next one is.
    """
    whole = FRAGMENT * float(np.median([piece.size for piece in chain])) if chain else 0.0
    counted = [place for place, piece in enumerate(chain) if piece.size > whole or not piece.is_cut]
    if not counted:
        return [piece.name for piece in chain]
    first, stop = counted[0], counted[-1] + 1
    found = _numbered(chain[first:stop])
    below, above = found[0] - chain[first].name, found[-1] - chain[stop - 1].name
    ends = [piece.name + below for piece in chain[:first]], [piece.name + above for piece in chain[stop:]]
    return [min(max(place, 0), len(SPINE) - 1) for place in (*ends[0], *found, *ends[1])]


def _numbered(chain: list[Piece]) -> list[int]:
    """The places without a gap but where one is seen; of all such, those by which most voxels keep their name."""
    has_sacrum = chain[0].name == SACRUM
    steps = np.cumsum([0, *_steps(np.array([piece.centre_mm for piece in chain]), has_sacrum=has_sacrum)])
    votes = np.array([np.pad(piece.votes, (0, int(steps[-1]))) for piece in chain])
    starts = range(1 if has_sacrum else max(1, len(SPINE) - int(steps[-1])))
    best = max(starts, key=lambda start: int(votes[np.arange(len(chain)), start + steps].sum()))
    return [int(best + step) for step in steps]


def _steps(centres_mm: npt.NDArray[np.float64], *, has_sacrum: bool) -> list[int]:
    """From each vertebra to the next: one, or more where the gap is that many times what those around it are."""
    gaps = np.linalg.norm(np.diff(centres_mm, axis=0), axis=1)
    first = int(has_sacrum)  # how far the last vertebra is from the sacrum says little: that is tilted as it likes
    around = [np.r_[gaps[max(first, place - 2) : place], gaps[place + 1 : place + 3]] for place in range(len(gaps))]
    return [
        max(1, round(gap / np.median(others))) if len(others) else 1 for gap, others in zip(gaps, around, strict=True)
    ]
