"""A dataset of scans with two femurs each, and what to compare datasets by."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable, table_for
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

TABLE = table_for(["femur_left", "femur_right"])
GRID = Grid((72, 40, 90), (2.0, 1.5, 1.5), (-50.0, 10.0, -60.0))


@pytest.fixture
def add_case() -> Callable[..., Dataset]:
    """Writes a case with two leaning femurs to a dataset; the seed moves them and draws the noise."""

    def add(url: Path, case_id: str, *, seed: int = 0, labelled: bool = True, slices: int = 72) -> Dataset:
        dataset = Dataset.create(str(url), "source", TABLE if labelled else LabelTable(()))
        grid = Grid((slices, *GRID.shape[1:]), GRID.spacing_mm, GRID.origin_mm)
        rng = np.random.default_rng(seed)
        z, y, x = np.indices(grid.shape)
        ids = np.zeros(grid.shape, np.uint8)
        for name, middle, lean in (("femur_left", 64 + seed, 0.2), ("femur_right", 26 - seed, -0.2)):
            shaft = (y - 20) ** 2 + (x - middle - lean * (z - slices / 2) * 36 / slices) ** 2 < 36
            ids[shaft & (z > 4) & (z < slices - 5)] = TABLE.ids[name]
        hu = rng.integers(-100, 100, grid.shape, dtype=np.int16) + np.int16(900) * (ids > 0)
        write_case(dataset, case_id, hu.astype(np.int16), ids if labelled else None, grid)
        return Dataset.open(str(url))

    return add
