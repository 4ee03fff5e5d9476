"""Cases in memory that satisfy the protocols of `core.volume`, with a pyramid pooled by plain numpy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pytest

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3, Vector3
from osteon.core.labels import LabelTable, table_for
from osteon.core.volume import Array, Foreground, Zones

CHUNK = 8


@dataclass
class Ledger:
    """What was read of a case, and what happens when it is."""

    begun: list[tuple[int, Index3, Index3]] = field(default_factory=list)
    finished: int = 0
    gate: threading.Event | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class MemoryVolume:
    array: Array
    grid: Grid
    level: int
    ledger: Ledger

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.array.dtype

    def read(self, start: Index3, shape: Index3) -> MemoryRead:
        assert all(
            first >= 0 < count and first + count <= size
            for first, count, size in zip(start, shape, self.grid.shape, strict=True)
        ), f"read of {shape} at {start} leaves {self.grid.shape}"
        self.ledger.begun.append((self.level, start, shape))
        return MemoryRead(self.array[tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))], self.ledger)


@dataclass(frozen=True)
class MemoryRead:
    block: Array
    ledger: Ledger

    def result(self) -> Array:
        if self.ledger.gate is not None:
            self.ledger.gate.wait()
        if self.ledger.error is not None:
            raise self.ledger.error
        self.ledger.finished += 1
        return self.block.copy()


@dataclass(frozen=True)
class MemoryCase:
    case_id: str
    hu: npt.NDArray[np.int16]
    ids: Array | None
    grid: Grid
    num_levels: int
    ledger: Ledger

    @cached_property
    def foreground(self) -> Foreground:
        ids = np.zeros(0) if self.ids is None else self.ids
        present = [int(label) for label in np.unique(ids) if label]
        where = {label: np.argwhere(ids == label).astype(np.int32) for label in present}
        return Foreground({label: len(found) for label, found in where.items()}, where)

    @cached_property
    def zones(self) -> Zones:
        shape = [-(-n // CHUNK) for n in self.hu.shape]
        padded = np.pad(self.hu, [(0, -n % CHUNK) for n in self.hu.shape], mode="edge")
        chunks = padded.reshape(shape[0], CHUNK, shape[1], CHUNK, shape[2], CHUNK)
        classes = np.zeros((*shape, 0 if self.ids is None else 32), np.uint8)
        return Zones((CHUNK,) * 3, chunks.min(axis=(1, 3, 5)), chunks.max(axis=(1, 3, 5)), classes)

    def image(self, level: int = 0) -> MemoryVolume:
        return MemoryVolume(pool(self.hu, level), self.grid.pooled(level), level, self.ledger)

    def labels(self, level: int = 0) -> MemoryVolume:
        if self.ids is None:
            raise BadInput("no-labels", "this case has no labels", where=f"case {self.case_id}")
        step = 2**level
        return MemoryVolume(self.ids[::step, ::step, ::step], self.grid.pooled(level), level, self.ledger)


def pool(hu: npt.NDArray[np.int16], level: int) -> npt.NDArray[np.int16]:
    """The reference: mean over blocks of 2^level, far edge repeated to a whole block, rounded."""
    factor = 2**level
    whole = np.pad(hu, [(0, -n % factor) for n in hu.shape], mode="edge").astype(np.float64)
    z, y, x = (n // factor for n in whole.shape)
    means = whole.reshape(z, factor, y, factor, x, factor).mean(axis=(1, 3, 5))
    return np.asarray(np.rint(means), dtype=np.int16)


MakeCase = Callable[..., MemoryCase]


@pytest.fixture(scope="session")
def table() -> LabelTable:
    """Two sides of a femur, and bones without sides; none of the ids equals its class."""
    return table_for(["femur_left", "femur_right", "sacrum", "sternum"])


@pytest.fixture(scope="session")
def pooled() -> Callable[[npt.NDArray[np.int16], int], npt.NDArray[np.int16]]:
    return pool


@pytest.fixture
def make_case(table: LabelTable) -> MakeCase:
    """Random HU; the labels of the table as slabs along x, in order, the background in between."""

    def make(
        shape: Index3 = (40, 48, 56),
        spacing_mm: Vector3 = (1.0, 1.0, 1.0),
        *,
        num_levels: int = 4,
        seed: int = 0,
        names: tuple[str, ...] | None = None,
        labelled: bool = True,
    ) -> MemoryCase:
        hu = np.random.default_rng(seed).integers(-1000, 1500, shape, dtype=np.int16)
        ids = np.zeros(shape, np.uint8)
        wanted = table.ids if names is None else {name: table.ids[name] for name in names}
        for k, label in enumerate(wanted.values()):
            ids[:, :, 8 * k : 8 * k + 4] = label
        grid = Grid(shape, spacing_mm, (-30.0, 10.0, 5.0))
        return MemoryCase(f"case-{seed}", hu, ids if labelled else None, grid, num_levels, Ledger())

    return make
