"""Small scans with labels, and datasets to put them in: a folder, an S3 server, an S3 server that misbehaves."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from faulty import FaultyS3, proxy
from seaweed import S3Server

from osteon.core.geometry import Grid, Index3
from osteon.core.labels import LabelTable, table_for
from osteon.core.volume import Array
from osteon.storage.writer import CaseWriter, Provenance, RowReceipt, provenance_of


@dataclass(frozen=True)
class Example:
    """A scan with labels, in memory."""

    image: npt.NDArray[np.int16]
    labels: Array
    grid: Grid
    table: LabelTable

    @property
    def provenance(self) -> Provenance:
        return provenance_of(self.image, self.labels, self.grid)

    def write_rows(self, writer: CaseWriter) -> list[RowReceipt]:
        return [
            writer.write_row(row, self.image[slice(*writer.row_range(row))], self.labels[slice(*writer.row_range(row))])
            for row in range(writer.num_rows)
        ]


def make_example(shape: Index3 = (70, 80, 75), seed: int = 0) -> Example:
    """A noisy scan (two rows, two levels by default) with two boxes of bone and one of something else."""
    rng = np.random.default_rng(seed)
    table = table_for(["femur_left", "sacrum", "implant"])
    image = rng.integers(-1000, 400, shape).astype(np.int16)
    labels = np.zeros(shape, np.uint8)
    z, y, x = shape
    labels[: z // 2, y // 4 : y // 2, x // 4 : x // 2] = table.ids["femur_left"]
    labels[z // 3 :, y // 2 : y // 2 + 9, 3:9] = table.ids["sacrum"]
    labels[z - 2 :, y - 5 :, x - 3 :] = table.ids["implant"]
    image[labels > 0] += 900
    return Example(image, labels, Grid(shape, (1.5, 0.75, 0.8), (-30.0, 12.5, 7.0)), table)


@pytest.fixture
def example() -> Example:
    return make_example()


@pytest.fixture
def other_example() -> Example:
    return make_example(seed=1)


@pytest.fixture
def make() -> Callable[..., Example]:
    return make_example


@pytest.fixture(params=["folder", "s3"])
def dataset_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "dataset") if request.param == "folder" else str(request.getfixturevalue("s3_url"))


@pytest.fixture
def faulty(s3: S3Server, s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyS3]:
    """A misbehaving proxy before the server of ``s3_url``, which is reached through it from now on."""
    assert s3_url
    with proxy(s3.endpoint) as running:
        monkeypatch.setenv("AWS_ENDPOINT_URL", running.endpoint)
        yield running
