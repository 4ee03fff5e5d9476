"""A scan of any length is prepared in the same memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from osteon.core.geometry import Grid
from osteon.core.labels import table_for
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

SIDE = 256
TABLE = table_for(["femur_left", "femur_right"])
PREPARE = """
import sys
from pathlib import Path
from osteon.data.prepare import PrepareSpec
from osteon.jobs.prepare import PrepareRequest, prepare
spec = PrepareSpec.model_validate_json(sys.argv[3])
summary = prepare(PrepareRequest(sys.argv[1], sys.argv[2], spec), scheduler="threads", num_workers=1)
assert summary.exit_code == 0, summary
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def write(url: Path, slices: int) -> Path:
    """A labelled scan of two shafts that lean a little, in voxels of 0.8 mm."""
    grid = Grid((slices, SIDE, SIDE), (0.8, 0.8, 0.8))
    ids = np.zeros(grid.shape, np.uint8)
    for z in range(slices):
        for name, left in (("femur_left", 150), ("femur_right", 60)):
            start = left + z // 40
            ids[z, 110:140, start : start + 30] = TABLE.ids[name]
    write_case(Dataset.create(str(url), "long", TABLE), "a", np.where(ids > 0, 700, 0).astype(np.int16), ids, grid)
    return url


def peak_mb(source: Path, out: Path, spec: str) -> float:
    command = [sys.executable, "-c", PREPARE, str(source), str(out), spec]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    "spec",
    ['{"spacing_mm": [0.6, 0.8, 0.8]}', '{"femurs": true, "align_shaft": true, "margin_mm": 40}'],
    ids=["resampled", "aligned"],
)
def test_peak_memory_does_not_grow_with_the_scan(spec: str, tmp_path: Path) -> None:
    short = peak_mb(
        write(tmp_path / "short", 400), tmp_path / "one", spec
    )  # long enough to fill what is kept for reuse
    long = peak_mb(write(tmp_path / "long", 1100), tmp_path / "two", spec)
    voxels_mb = (1100 - 400) * SIDE * SIDE * 3 / 1e6  # image and labels
    assert long - short < voxels_mb / 2, (short, long)
