"""Training batches of 64^3 with contexts of 128^3 and 256^3: read from the pyramid, against cropped and pooled.

Both sides read the same stored case with the same engine, about the same centres, with the same threads, and normalise.
The peer reads the widest field of view once, at full resolution, and makes all views of it with torch's pooling.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import count

import numpy as np
import torch
import torch.nn.functional as F
from harness import compare, ms_per_item, parser, report
from scan import Scan
from torch import Tensor

from osteon.core.geometry import Index3
from osteon.core.labels import BONES
from osteon.core.volume import Array, Volume
from osteon.data.loader import PatchLoader, center_of, start_of
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.data.sampling import PatchSampler, SamplingSpec
from osteon.storage.case import StoredCase
from osteon.storage.dataset import Dataset
from osteon.storage.writer import write_case

NUM_CONTEXTS = 2
NUM_THREADS = 2
BATCH_SIZE = 2
Reader = Callable[[int, int], object]
INTENSITY = Intensity(clip_hu=(-1000, 1500), mean=80, std=300)


def main() -> None:
    """Print the row."""
    options = parser(__doc__)
    options.add_argument("--batches", type=int, default=16, help="batches of two patches in a round")
    chosen = options.parse_args()
    shape, side = ((96, 160, 160), 32) if chosen.small else ((400, 512, 512), 64)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.on(folder, shape, side)
        check(bench)
        row = compare(
            f"patches {side}³ + contexts {2 * side}³, {4 * side}³",
            "crop, then pool",
            peer=partial(bench.time, bench.crop_and_pool, chosen.batches, count()),
            ours=partial(bench.time, bench.load, chosen.batches, count()),
            unit="ms/patch",
            rounds=chosen.rounds,
            aim=10,
        )
    report([row], as_json=chosen.json)


@dataclass(frozen=True)
class Bench:
    """One stored case and two ways to read patches with contexts from it."""

    case: StoredCase
    sampler: PatchSampler
    loader: PatchLoader

    @classmethod
    def on(cls, url: str, shape: Index3, side: int) -> Bench:
        """Write a case at ``url`` and open it."""
        scan, dataset = Scan.make(shape), Dataset.create(url, "loader", BONES)
        write_case(dataset, "scan", scan.image, scan.labels, scan.grid)
        case = dataset.case("scan")
        sampler = PatchSampler([case], SamplingSpec(patch_shape=(side, side, side)), BONES, seed=0)
        loader = PatchLoader(
            [case], sampler, ModelGrid(), INTENSITY, BONES, BATCH_SIZE, NUM_THREADS, num_contexts=NUM_CONTEXTS
        )
        return cls(case, sampler, loader)

    def time(self, read: Reader, num_batches: int, rounds: count[int]) -> float:
        """Milliseconds per patch of the next round's batches; no round reads what another has read."""
        first = next(rounds) * num_batches
        return ms_per_item(lambda: read(first, first + num_batches), num_batches * BATCH_SIZE)

    def load(self, start_step: int, stop_step: int) -> list[list[Tensor]]:
        """The steps' patches by the loader: views of every patch, the target first."""
        batches = self.loader(start_step, stop_step)
        views = [(batch.image_BCZYX, *batch.contexts) for batch in batches]
        return [[view[row, 0] for view in batch] for batch in views for row in range(BATCH_SIZE)]

    def crop_and_pool(self, start_step: int, stop_step: int) -> list[list[Tensor]]:
        """The same, from crops at full resolution."""
        with ThreadPoolExecutor(NUM_THREADS) as pool:
            return list(pool.map(self._views_about, self.centers(start_step, stop_step)))

    def centers(self, start_step: int, stop_step: int) -> list[Index3]:
        """Where the steps' patches lie."""
        spacing_mm, multiple = self.case.grid.spacing_mm, 2**NUM_CONTEXTS
        drawn = [location for step in range(start_step, stop_step) for location in self.sampler.batch(step, BATCH_SIZE)]
        return [center_of(location, spacing_mm, spacing_mm, multiple) for location in drawn]

    def _views_about(self, center: Index3) -> list[Tensor]:
        shape = self.sampler.spec.patch_shape
        crop(self.case.labels(), center, shape)
        side = shape[0] * 2**NUM_CONTEXTS
        wide = torch.from_numpy(crop(self.case.image(), center, (side, side, side))).float()
        views = []
        for k in range(NUM_CONTEXTS + 1):
            margin = (side - shape[0] * 2**k) // 2
            inside = slice(margin, side - margin)
            pooled = F.avg_pool3d(wide[None, inside, inside, inside], 2**k)[0]
            views.append(INTENSITY.apply_(pooled.round_()))
        return views


def crop(volume: Volume, center: Index3, shape: Index3) -> Array:
    """A block of level 0 about a centre, edges repeated."""
    start = start_of(center, shape, 0)
    first = [max(0, a) for a in start]
    stop = [min(a + n, size) for a, n, size in zip(start, shape, volume.grid.shape, strict=True)]
    z, y, x = (b - a for a, b in zip(first, stop, strict=True))
    block = volume.read((first[0], first[1], first[2]), (z, y, x)).result()
    padding = [(i - a, a + n - j) for a, n, i, j in zip(start, shape, first, stop, strict=True)]
    return np.pad(block, padding, mode="edge") if any(map(any, padding)) else block


def check(bench: Bench) -> None:
    """Both must give the same numbers inside the scan; beyond it the pyramid repeats voxels of its own level."""
    both = zip(bench.centers(0, 4), bench.load(0, 4), bench.crop_and_pool(0, 4), strict=True)
    for center, ours, theirs in both:
        for k, views in enumerate(zip(ours, theirs, strict=True)):
            shape = views[0].shape
            start = start_of(center, (shape[0], shape[1], shape[2]), k)
            axes = zip(start, shape, bench.case.grid.shape, strict=True)
            inside = tuple(slice(max(0, -a), min(n, (size >> k) - a)) for a, n, size in axes)
            torch.testing.assert_close(views[0][inside], views[1][inside])


if __name__ == "__main__":
    main()
