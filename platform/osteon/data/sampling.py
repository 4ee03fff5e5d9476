"""Where training looks: which case and which voxel each patch is centred on.

Every draw is a pure function of (seed, rank, step): a resumed run draws the patches the unbroken run would have drawn,
and ranks draw independently of each other. Reads only sampling tables and zone maps, never voxels.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from osteon.core.errors import BadInput
from osteon.core.geometry import Index3
from osteon.core.labels import BACKGROUND, LabelTable
from osteon.core.volume import TrainingCase, Zones

_TABLE_READERS = 16  # sampling tables are small objects, so reading them is all latency


class SamplingSpec(BaseModel):
    """How patches are drawn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    patch_shape: tuple[PositiveInt, PositiveInt, PositiveInt] = Field(
        default=(64, 64, 64), description="Voxels of a patch on the model's grid, z, y, x."
    )
    foreground_share: float = Field(
        default=0.67,
        ge=0,
        le=1,
        description="Share of patches centred on a voxel of a drawn bone; the others lie anywhere.",
    )
    class_balance: Literal["even", "inverse-sqrt"] = Field(
        default="even",
        description=(
            "Chance of a bone to be the centre: even gives every bone of the training cases the same; inverse-sqrt "
            "weighs each by one over the root of its voxel count, so that small bones come more often."
        ),
    )
    bone_floor_hu: float | None = Field(
        default=None,
        description=(
            "HU. Patches that are not centred on a drawn bone keep to chunks whose largest voxel reaches this value; "
            "none: they lie anywhere in the volume."
        ),
    )
    inside: bool = Field(
        default=False,
        description=(
            "Move patches that reach beyond the scan back into it, and to its middle along axes on which it is "
            "smaller: for networks that see whole slices."
        ),
    )


@dataclass(frozen=True)
class PatchLocation:
    """The centre of a patch.

    Attributes:
        case: index into the cases sampled from.
        center: voxel of level 0, z, y, x; inside the volume.
        label: id of the bone drawn, or 0 for a patch that lies anywhere.
    """

    case: int
    center: Index3
    label: int = BACKGROUND


class PatchSampler:
    """Draws patch centres from the foreground tables and zone maps of cases.

    A bone is drawn by `SamplingSpec.class_balance`, then one of the cases that have it (each alike), then one of its
    tabled voxels. The foreground share is met over the ranks together: the patches of a step are numbered through all
    ranks, and ``foreground_share`` of any run of numbers are centred on a bone, to within one.

    Args:
        cases: where to draw; a case's index is its `PatchLocation.case`.
        spec: how to draw.
        table: the bones that count; others are background.
        seed: of the run.
        rank: of this worker, below ``world_size``.
        world_size: how many workers draw.

    Raises:
        BadInput: ``no-cases``, ``no-foreground`` if no case holds a bone of the table, or what a case without labels
            raises.
    """

    def __init__(
        self,
        cases: Sequence[TrainingCase],
        spec: SamplingSpec,
        table: LabelTable,
        seed: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.cases = cases
        self.spec = spec
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._cases_of, voxels = _survey(cases, table)
        self._labels = np.array(sorted(self._cases_of), dtype=np.int64)
        counts = np.array([voxels[label] for label in self._labels], dtype=np.float64)
        weights = np.ones_like(counts) if spec.class_balance == "even" else 1 / np.sqrt(counts)
        self._chances = weights / weights.sum()

    def batch(self, step: int, size: int) -> list[PatchLocation]:
        """The centres of this rank's patches in a step."""
        rng = np.random.default_rng(np.random.SeedSequence(self._seed, spawn_key=(self._rank, step)))
        first = (step * self._world_size + self._rank) * size
        return [self._draw(rng, first + k) for k in range(size)]

    def _draw(self, rng: np.random.Generator, number: int) -> PatchLocation:
        share = self.spec.foreground_share
        wants_bone = int((number + 1) * share) > int(number * share)
        return self._on_a_bone(rng) if wants_bone else self._anywhere(rng)

    def _on_a_bone(self, rng: np.random.Generator) -> PatchLocation:
        label = int(rng.choice(self._labels, p=self._chances))
        case = int(rng.choice(self._cases_of[label]))
        coordinates = self.cases[case].foreground.coordinates[label]
        return PatchLocation(case, _index3(coordinates[rng.integers(len(coordinates))]), label)

    def _anywhere(self, rng: np.random.Generator) -> PatchLocation:
        case = int(rng.integers(len(self.cases)))
        start, stop = np.zeros(3, np.int64), np.array(self.cases[case].grid.shape)
        if self.spec.bone_floor_hu is not None:
            start, stop = _draw_chunk(rng, self.cases[case].zones, self.spec.bone_floor_hu, stop)
        return PatchLocation(case, _index3(rng.integers(start, stop)))


def _survey(cases: Sequence[TrainingCase], table: LabelTable) -> tuple[dict[int, list[int]], dict[int, int]]:
    """The cases that hold each bone of the table, and its voxels in all of them."""
    if not cases:
        raise BadInput("no-cases", "there is no case to draw patches from", remedy="name at least one training case")
    with ThreadPoolExecutor(_TABLE_READERS) as pool:
        tables = list(pool.map(_labelled_voxels, cases))
    cases_of: dict[int, list[int]] = {}
    voxels: dict[int, int] = {}
    for index, counts in enumerate(tables):
        for label in counts.keys() & table.names.keys():
            cases_of.setdefault(label, []).append(index)
            voxels[label] = voxels.get(label, 0) + counts[label]
    if not cases_of:
        raise BadInput(
            "no-foreground",
            f"none of the {len(cases)} cases holds a voxel of the {len(table)} labels to be learnt",
            remedy="choose labels that the training cases have",
        )
    return cases_of, voxels


def _labelled_voxels(case: TrainingCase) -> dict[int, int]:
    case.labels()  # refused by a case without labels, whose empty table would pass for a case without bones
    return {label: count for label, count in case.foreground.counts.items() if count > 0}


def _draw_chunk(
    rng: np.random.Generator, zones: Zones, floor_hu: float, shape: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and one-past-last voxel of a chunk that reaches the floor, drawn by its voxels; all chunks if none does."""
    size = np.array(zones.chunk_shape)
    chunks = np.argwhere(zones.hu_max >= floor_hu)
    if not len(chunks):
        return np.zeros(3, np.int64), shape
    starts, stops = chunks * size, np.minimum((chunks + 1) * size, shape)
    voxels = (stops - starts).prod(axis=1)
    drawn = rng.choice(len(chunks), p=voxels / voxels.sum())
    return starts[drawn], stops[drawn]


def _index3(values: npt.NDArray[np.integer]) -> Index3:
    z, y, x = (int(value) for value in values)
    return (z, y, x)
