"""A tiny model, a small archive of noise, and what a single case is segmented to."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_model

from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.recipes.apply import segment_scan, stored_scan
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case, write_zarr

SPACING_MM = (2.0, 1.5, 1.5)
AddCase = Callable[..., Dataset]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Windows of 16 voxels of 1.5 mm, none skipped."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def add_case() -> AddCase:
    """Writes a case of noise; the dataset knows no labels."""

    def add(url: Path, case_id: str, depth: int = 24, seed: int = 0) -> Dataset:
        dataset = Dataset.create(str(url), "noise", LabelTable(()))
        grid = Grid((depth, 24, 24), SPACING_MM)
        hu = np.random.default_rng(seed).integers(-1000, 1500, grid.shape).astype(np.int16)
        write_case(dataset, case_id, hu, None, grid)
        return Dataset.open(str(url))

    return add


@pytest.fixture
def archive(tmp_path: Path, add_case: AddCase) -> Path:
    """Two short scans and a long one."""
    for number, (case_id, depth) in enumerate({"a": 24, "b": 30, "long": 260}.items()):
        add_case(tmp_path / "archive", case_id, depth, number)
    Dataset.open(str(tmp_path / "archive")).refresh()
    return tmp_path / "archive"


@pytest.fixture
def labels_of() -> Callable[[Path], dict[str, bytes]]:
    """Every stored object of a case's labels, by its name in the case."""

    def read(case: Path) -> dict[str, bytes]:
        files = sorted(path for path in (case / "labels").rglob("*") if path.is_file())
        return {str(path.relative_to(case)): path.read_bytes() for path in files}

    return read


@pytest.fixture
def segmented(
    model: str, archive: Path, tmp_path: Path, labels_of: Callable[[Path], dict[str, bytes]]
) -> Callable[[str], dict[str, bytes]]:
    """The labels that `osteon segment` leaves of a case of the archive in a .zarr."""

    def segment(case_id: str) -> dict[str, bytes]:
        bundle, scan = load_bundle(model), stored_scan(str(archive / "cases" / f"{case_id}.zarr"))
        labels, table = segment_scan(segmenter_of(bundle, "torch"), bundle.recipe.prepare, scan)
        assert labels.any()
        hu = scan.image.read((0, 0, 0), scan.image.grid.shape).result().astype(np.int16)
        out = tmp_path / "segmented" / f"{case_id}.zarr"
        write_zarr(str(out), hu, labels, scan.image.grid, table, scan.provenance)
        return labels_of(out)

    return segment
