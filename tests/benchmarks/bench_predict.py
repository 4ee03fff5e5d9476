"""An archive: what its tail and its catalogs cost, and the same scans by one worker and by two.

What a window and a voxel cost is measured here; how long 10,000 scans of mixed length would take is then simulated
with the driver's own cuts and order (`archive_plan`) and compared with a perfect share of the work. A folder of 100,000
cases is made up of rows and empty folders: the catalogs are read as in a run, and no case is opened.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from archive_plan import Costs, makespan, mixed_archive, perfect_share, pieces
from harness import Row, compare, parser, report
from scan import Scan

from osteon.core.labels import BONES, LabelTable
from osteon.data.preprocess import ModelGrid
from osteon.inference.windows import StreamSpec
from osteon.jobs.predict_archive import Archive, PredictRequest, sort_out
from osteon.jobs.predict_case import Predictor
from osteon.jobs.predict_plan import Unit
from osteon.models.build import build
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.bundle import save_bundle
from osteon.recipes.recipe import Recipe
from osteon.storage.catalog import CatalogRow, write_catalog
from osteon.storage.dataset import Dataset
from osteon.storage.stores import open_store
from osteon.storage.writer import write_case

TABLE = BONES.subset(range(1, 25))
WORKERS = (1, 4, 16, 64, 256)
FEW = 300  # scans of an archive in which the tail counts
OPENED = 200  # cases that are opened to know what one costs
RECIPE = Recipe(
    name="bench",
    grid=ModelGrid(spacing_mm=(2.0, 2.0, 2.0)),
    model=UNet3dSpec(channels=(16, 32, 64), num_auxiliary=0),
    inference=StreamSpec(window_shape=(64, 64, 64)),
)


ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "OMP_NUM_THREADS")}


def main() -> None:
    """Print the rows."""
    options = parser(__doc__)
    options.add_argument("--no-run", action="store_true", help="leave out the row that starts workers")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        folder = Path(name)
        torch.manual_seed(0)
        save_bundle(
            open_store(str(folder / "model")), "", RECIPE, TABLE, build(RECIPE.model, num_classes=len(TABLE) + 1), {}
        )
        costs = measured_costs(folder, small=chosen.small)
        rows = [*simulated(costs, 500 if chosen.small else 10_000)]
        rows.append(catalogs(folder, 2_000 if chosen.small else 100_000, chosen.rounds))
        if not chosen.no_run:
            rows.append(one_and_two(folder, 4 if chosen.small else 16, chosen.rounds, small=chosen.small))
        report(rows, as_json=chosen.json)  # before so many folders are removed, which takes a while


def measured_costs(folder: Path, *, small: bool) -> Costs:
    """A window's and a voxel's seconds, on one core, of one scan that is labelled as a worker does it."""
    write_archive(folder / "one", 1, (80, 128, 128) if small else (240, 256, 256))
    archive = Archive.open(PredictRequest(str(folder / "model"), str(folder / "one"), str(folder / "one-out")))
    archive.claim()
    predictor = Predictor.load(archive.job, num_threads=1)
    [case] = archive.candidates()
    began = time.perf_counter()
    taken = predictor.take(Unit(case, case.windows))
    seconds = time.perf_counter() - began
    assert taken.error is None, taken.error
    return Costs(
        window=taken.labelling_seconds / case.windows, voxel=(seconds - taken.labelling_seconds) / taken.voxels
    )


def write_archive(folder: Path, count: int, shape: tuple[int, int, int]) -> Dataset:
    """Scans of one shape that differ in brightness."""
    dataset = Dataset.create(str(folder), folder.name, LabelTable(()))
    scan = Scan.make(shape)
    for number in range(count):
        write_case(dataset, f"case{number:03}", scan.image + np.int16(number), None, scan.grid)
    dataset.refresh()
    return dataset


def simulated(costs: Costs, count: int) -> Iterator[Row]:
    """Wall time of archives against a perfect share, with long scans cut and whole."""
    for scans, numbers in ((count, WORKERS), (min(count, FEW), WORKERS[-2:])):
        cases = mixed_archive(RECIPE, scans)
        for workers in numbers:
            ideal = perfect_share(cases, workers, costs) / 3600
            for is_split in (True, False):
                units = pieces(RECIPE, cases, workers, is_split=is_split)
                hours = makespan(units, workers, costs) / 3600
                name = f"simulated: {scans:,} scans, {workers} workers, {'split' if is_split else 'whole'}"
                yield Row(name, "perfect share", "h", ideal, hours, 0.95 if is_split and scans > FEW else None, 1)


def catalogs(folder: Path, count: int, rounds: int) -> Row:
    """What is left to do of an archive half done, told from two catalogs; the peer opens each of so many cases."""
    model, out = str(folder / "model"), folder / "many-out"
    one = Dataset.open(str(folder / "one")).catalog()[0]
    request = PredictRequest(model, str(folder / "many"), str(out))
    _write_rows(folder / "many", [replace(one, case_id=f"case{number:06}") for number in range(count)])
    archive = Archive.open(request)
    archive.claim()
    done = archive.candidates()[: count // 2]
    _write_rows(out, [replace(one, case_id=case.case_id, labels_digest=case.identity) for case in done])

    def ours() -> float:
        began = time.perf_counter()
        todo, told = sort_out(archive.candidates(), archive.committed())
        assert (len(todo), len(told)) == (count - count // 2, count // 2)
        return time.perf_counter() - began

    def peer() -> float:
        began = time.perf_counter()
        for _ in range(OPENED):
            Dataset.open(str(folder / "one")).case(one.case_id)
        return (time.perf_counter() - began) / OPENED * count

    name = f"what is left of {count:,} cases, in a folder"
    return compare(name, "opening each case", peer=peer, ours=ours, unit="s", rounds=rounds)


def _write_rows(folder: Path, rows: Sequence[CatalogRow]) -> None:
    """A dataset as its catalog and its listing show it; its cases are empty."""
    dataset = Dataset.create(str(folder), folder.name, LabelTable(()))
    for row in rows:
        (folder / "cases" / f"{row.case_id}.zarr").mkdir(parents=True, exist_ok=True)
    write_catalog(dataset.store, rows)


def one_and_two(folder: Path, count: int, rounds: int, *, small: bool) -> Row:
    """The same archive by one worker on one core and by two on two; the start of Ray included."""
    write_archive(folder / "run", count, (60, 96, 96) if small else (240, 256, 256))

    def seconds(workers: int) -> float:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            words = ["predict", str(folder / "model"), "--data", str(folder / "run"), "--out", f"{out}/labels"]
            command = [sys.executable, "-m", "osteon.cli.main", *words, "--concurrency", str(workers), "--json"]
            cores = set(sorted(os.sched_getaffinity(0))[:workers])
            done = subprocess.run(
                command, env=ENVIRONMENT, stdout=subprocess.PIPE, check=True,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )  # fmt: skip
            summary = json.loads(done.stdout)
            assert {case["status"] for case in summary["cases"]} == {"predicted"}, summary
            return float(summary["seconds"])

    name = f"{count} scans by two workers on two cores"
    return compare(
        name, "one worker on one core", peer=lambda: seconds(1), ours=lambda: seconds(2), unit="s", rounds=rounds,
        aim=1.7,
    )  # fmt: skip


if __name__ == "__main__":
    main()
