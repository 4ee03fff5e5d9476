"""A DICOM series of 512x512x400 to a sharded OME-Zarr pyramid: Osteon against SimpleITK + ome-zarr-py.

Both read the same files from a warm page cache and write to the same disk, with every core they want. ome-zarr-py 0.17
by its defaults resizes with anti-aliasing (`Methods.RESIZE`), halves y and x only, takes chunks of up to 128 MiB
(Dask's choice) and zstd; here it makes the levels that Osteon makes, halved along z, too. In the row "averaging" it
averages (`Methods.LOCAL_MEAN`) into Osteon's shards and chunks: the nearest it has to the same work. Osteon checks the
source, digests it and every shard, and writes zone maps and samples on top. Peak memory is a fresh process's.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from harness import Row, compare, parser, report

from osteon.core.labels import LabelTable
from osteon.jobs.ingest import ingest
from osteon.storage.engine import encode
from osteon.storage.histogram import count_hu
from osteon.storage.importers import CaseSource, plan_import
from osteon.storage.layout import image_layout, num_levels
from osteon.storage.pyramid import image_levels
from osteon.storage.readers import open_scan
from osteon.storage.stores import Store, open_store
from osteon.storage.writer import CaseWriter
from osteon.storage.zones import map_zones

CORES = 2
SEVERAL = 4  # scans: what keeps every core busy
PEER = "SimpleITK + ome-zarr-py 0.17"


def main() -> None:
    """Print the rows."""
    options = parser(__doc__)
    options.add_argument("--peak", nargs=3, metavar=("WHO", "SERIES", "OUT"), help="do one round, print peak memory")
    chosen = options.parse_args()
    if chosen.peak is not None:
        who, series, out = chosen.peak
        {"ours": ours, "defaults": defaults, "averaging": averaging}[who](Path(series), Path(out))
        print(_own_peak_mb())
        return
    depth, side = (96, 128) if chosen.small else (400, 512)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        series = write_series(folder / "series", depth, side)
        rows = [*_times(series, folder, chosen.rounds), *_peaks(series, folder, depth, side, chosen.rounds)]
    report(rows, as_json=chosen.json)


def write_series(folder: Path, depth: int, side: int, lift_hu: int = 0) -> Path:
    """A CT-like scan as uncompressed DICOM files, ``lift_hu`` brighter, which makes it another scan."""
    from scan import Scan  # here, or it would count in the memory of the ingest

    from osteon.data.phantom.dicom import to_series

    folder.mkdir()
    scan = Scan.make((depth, side, side))
    for slice_file in to_series("bench", scan.image + np.int16(lift_hu), scan.grid, (0,)):
        slice_file.dataset.save_as(folder / slice_file.name, enforce_file_format=True)
    return folder


def ours(folder: Path, out: Path) -> None:
    """One ingest by threads."""
    summary = ingest(plan_import([folder]), str(out), scheduler="threads", num_workers=CORES)
    assert summary.count("ingested") == len(summary.cases) > 0, summary


def defaults(series: Path, out: Path) -> None:
    """Read with SimpleITK, write with ome-zarr-py as it comes."""
    _write_peer(series, out, "resize", {})


def averaging(series: Path, out: Path) -> None:
    """Read with SimpleITK, write with ome-zarr-py: averages in Osteon's shards."""
    layout = image_layout((400, 512, 512), 0)
    assert layout.shard_shape is not None
    _write_peer(series, out, "local_mean", {"chunks": layout.chunk_shape, "shards": layout.shard_shape})


def _write_peer(series: Path, out: Path, method: str, storage: dict[str, tuple[int, ...]]) -> None:
    import SimpleITK as sitk  # here, or they would count in Osteon's memory
    from ome_zarr.scale import Methods
    from ome_zarr.writer import write_image

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(series)))
    voxels = sitk.GetArrayFromImage(reader.Execute())
    factors = [dict.fromkeys("zyx", 2**level) for level in range(1, num_levels(voxels.shape))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_image(voxels, str(out), factors, Methods(method), axes="zyx", storage_options=storage)


def _times(series: Path, folder: Path, rounds: int) -> Iterator[Row]:
    """Wall time of a whole ingest against the peer's, and against the slowest of its own stages."""
    name = "DICOM series to pyramid"
    mine = partial(_seconds, ours, series, folder / "ours")
    yield compare(
        name, f"{PEER}, defaults", peer=partial(_seconds, defaults, series, folder / "peer"), ours=mine,
        unit="s", rounds=rounds, aim=3,
    )  # fmt: skip
    yield compare(
        f"{name}, averaging", PEER, peer=partial(_seconds, averaging, series, folder / "peer"), ours=mine,
        unit="s", rounds=rounds, aim=3,
    )  # fmt: skip
    yield _against_slowest_stage("whole ingest of one scan", series, 1, folder, rounds)
    several = folder / "several"
    several.mkdir()
    for number in range(SEVERAL):
        write_series(several / str(number), *_shape_of(series), lift_hu=number)
    yield _against_slowest_stage(f"whole ingest of {SEVERAL} scans", several, SEVERAL, folder, rounds)


def _against_slowest_stage(name: str, source: Path, scans: int, folder: Path, rounds: int) -> Row:
    """At most 1.3 times the slowest stage: a ratio of at least 1 / 1.3."""
    stages: defaultdict[str, float] = defaultdict(float)
    row = compare(
        name, "slowest stage alone, one thread", peer=partial(_slowest_stage, source, folder / "stages", stages),
        ours=partial(_seconds, ours, source, folder / "ours"), unit="s", rounds=rounds, aim=0.77,
    )  # fmt: skip
    each = ", ".join(f"{stage} {seconds / (rounds + 1) / scans:.2f} s" for stage, seconds in stages.items())
    print(f"{name}: stages alone, one thread, a scan: {each}", file=sys.stderr)
    return row


def _shape_of(series: Path) -> tuple[int, int]:
    case = plan_import([series]).cases[0]
    assert isinstance(case, CaseSource)
    depth, side, _ = open_scan(case.scan, scratch=series).grid.shape
    return depth, side


def _seconds(work: Callable[[Path, Path], None], series: Path, out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    began = time.perf_counter()
    work(series, out)
    return time.perf_counter() - began


def _slowest_stage(source: Path, out: Path, total: defaultdict[str, float]) -> float:
    """Each stage over the whole scan, row by row, one after the other; the slowest's wall time."""
    shutil.rmtree(out, ignore_errors=True)
    once: defaultdict[str, float] = defaultdict(float)
    store = open_store(str(out))
    with _stage(once, "read"):
        cases = plan_import([source]).cases
    for case in cases:
        assert isinstance(case, CaseSource)
        _stages_of(case, out, store, once)
    for name, seconds in once.items():
        total[name] += seconds
    return max(once.values())


def _stages_of(case: CaseSource, out: Path, store: Store, once: defaultdict[str, float]) -> None:
    with _stage(once, "read"):
        scan = open_scan(case.scan, scratch=out)
    plan = CaseWriter.plan(store, "bench", scan.grid, LabelTable(()), False)
    for row in range(plan.num_rows):
        with _stage(once, "read"):
            slab = scan.read_slab(*plan.row_range(row))
        with _stage(once, "pool"):
            levels = list(image_levels(slab, plan.num_levels))
            map_zones(slab, None, 0)
            count_hu(slab, None)
        for layout, level in zip(plan.image_layouts(), levels, strict=True):
            assert layout.shard_shape is not None
            with _stage(once, "encode and digest"):
                shards = encode(layout, (row * layout.shard_shape[0], 0, 0), level)
                for data in shards.values():
                    hashlib.sha256(data).digest()
            with _stage(once, "put"):
                for key, data in shards.items():
                    store.write_bytes(f"{layout.path}/{key}", data)


@contextmanager
def _stage(times: defaultdict[str, float], name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times[name] += time.perf_counter() - began


def _peaks(series: Path, folder: Path, depth: int, side: int, rounds: int) -> Iterator[Row]:
    """Peak memory of fresh processes: against the peer, and for a scan of twice the length."""
    longer = write_series(folder / "longer", 2 * depth, side)
    mine = partial(_peak_mb, "ours", series, folder / "ours")
    yield compare(
        "peak memory", f"{PEER}, averaging", peer=partial(_peak_mb, "averaging", series, folder / "peer"), ours=mine,
        unit="MB", rounds=rounds,
    )  # fmt: skip
    # Flat in length: a ratio of one.
    yield compare(
        "peak memory, twice the length", "Osteon, once the length", peer=mine,
        ours=partial(_peak_mb, "ours", longer, folder / "ours"), unit="MB", rounds=rounds, aim=0.9,
    )  # fmt: skip


def _own_peak_mb() -> float:
    """Peak resident memory of this process since its start; getrusage would count the parent's at the fork, too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1000


def _peak_mb(who: str, series: Path, out: Path) -> float:
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, "--peak", who, str(series), str(out)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


if __name__ == "__main__":
    main()
