"""A scan of any length is ingested in the same memory."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

AddScan = Callable[..., Path]
INGEST = """
import sys
from pathlib import Path
from osteon.jobs.ingest import ingest
from osteon.storage.importers import plan_import
summary = ingest(plan_import([Path(sys.argv[1])]), sys.argv[2], scheduler="threads", num_workers=2)
assert summary.count("ingested") == 1, summary
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def peak_mb(scan: Path, dataset: Path) -> float:
    command = [sys.executable, "-c", INGEST, str(scan.parent), str(dataset)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1000


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_peak_memory_does_not_grow_with_the_scan(suffix: str, add_scan: AddScan, tmp_path: Path) -> None:
    short = peak_mb(add_scan("short", slices=160, side=256, suffix=suffix), tmp_path / "one")
    long = peak_mb(add_scan("long", slices=900, side=256, suffix=suffix), tmp_path / "two")
    voxels_mb = (900 - 160) * 256 * 248 * 3 / 1e6  # image and labels
    assert voxels_mb > 120
    assert long - short < voxels_mb / 3
    assert long < 600
