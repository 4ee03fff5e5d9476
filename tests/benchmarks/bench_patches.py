"""Random 128^3 training patches, image and labels, of a 512x512x400 scan: against nnU-Net, MONAI, and zarr + s3fs.

Every side reads from a warm page cache or a server on loopback. "one reader" is one process of each: what a worker of a
data loader does. "all cores" gives the peer one worker process per core, and lets it keep its patches as if handing
them to the trainer cost nothing; Osteon reads in one process either way. Patches are read as they are stored: nnU-Net
and MONAI store normalised float32, Osteon HU; in the row "as float32" Osteon normalises them too.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from unittest.mock import patch

import numpy as np
from harness import Row, compare, ms_per_item, parser, report
from peer_patches import MonaiPatches, NnunetPatches, Patches, S3fsPatches
from scan import Scan, normalise
from seaweed import serve

from osteon.core.geometry import Index3
from osteon.core.labels import BONES
from osteon.core.volume import Array
from osteon.storage.case import StoredCase
from osteon.storage.dataset import Dataset
from osteon.storage.engine import PendingBlock
from osteon.storage.writer import write_case

IN_FLIGHT = 4  # patches that Osteon reads at once
CORES = os.cpu_count() or 1


@dataclass(frozen=True)
class Bench:
    """What is measured.

    Attributes:
        scan: the volume that is read from.
        side: voxels of a patch along each axis.
        patches: patches of a round.
        rounds: measured rounds of each side.
    """

    scan: Scan
    side: int
    patches: int
    rounds: int

    def row(self, name: str, peer: Patches, case: StoredCase, *, readers: int, aim: float | None = None) -> Row:
        """Measure a peer with so many processes against Osteon with one."""
        rng = np.random.default_rng(1)
        with ExitStack() as stack:
            read = self._peer(stack, peer, readers)
            return compare(
                name,
                peer.name,
                peer=lambda: read(self._starts(rng)),
                ours=lambda: self._ours(case, self._starts(rng), normalised="float32" in name),
                unit="ms/patch",
                rounds=self.rounds,
                aim=aim,
            )

    def _peer(self, stack: ExitStack, peer: Patches, readers: int) -> Callable[[Sequence[Index3]], float]:
        if readers == 1:
            return lambda starts: ms_per_item(lambda: peer.read(starts), len(starts))
        pool = stack.enter_context(ProcessPoolExecutor(readers, mp_context=get_context("spawn")))

        def read(starts: Sequence[Index3]) -> float:
            shares = [starts[n::readers] for n in range(readers)]
            return ms_per_item(lambda: list(pool.map(peer.read, shares)), len(starts))

        return read

    def _ours(self, case: StoredCase, starts: Sequence[Index3], *, normalised: bool) -> float:
        def read() -> None:
            for image in _pipelined(case, starts, self.side):
                if normalised:
                    normalise(image.astype(np.int16, copy=False))

        return ms_per_item(read, len(starts))

    def _starts(self, rng: np.random.Generator) -> list[Index3]:
        limits = [n - self.side + 1 for n in self.scan.grid.shape]
        corners = rng.integers(0, limits, (self.patches, 3))
        return [(int(z), int(y), int(x)) for z, y, x in corners]


def _pipelined(case: StoredCase, starts: Sequence[Index3], side: int) -> Iterator[Array]:
    image, labels = case.image(), case.labels()
    pending = deque[tuple[PendingBlock, PendingBlock]]()
    shape = (side, side, side)
    for start in starts:
        pending.append((image.read(start, shape), labels.read(start, shape)))
        if len(pending) == IN_FLIGHT:
            yield _finish(pending.popleft())
    while pending:
        yield _finish(pending.popleft())


def _finish(pair: tuple[PendingBlock, PendingBlock]) -> Array:
    pair[1].result()
    return pair[0].result()


def _case(url: str, scan: Scan) -> StoredCase:
    dataset = Dataset.create(url, "bench", BONES)
    write_case(dataset, "scan", scan.image, scan.labels, scan.grid)
    return dataset.case("scan")


def local_rows(bench: Bench, folder: Path) -> Iterator[Row]:
    """Rows against nnU-Net's and MONAI's datasets in a folder."""
    case = _case(str(folder / "osteon"), bench.scan)
    nnunet = NnunetPatches.prepare(folder / "nnunet", bench.scan, bench.side)
    yield bench.row("local, one reader", nnunet, case, readers=1, aim=3)
    yield bench.row("local, one reader, as float32", nnunet, case, readers=1)
    yield bench.row("local, all cores", nnunet, case, readers=CORES)
    monai = MonaiPatches.prepare(folder / "monai", bench.scan, bench.side)
    yield bench.row("local, one reader", monai, case, readers=1, aim=10)
    yield bench.row("local, all cores", monai, case, readers=CORES)


def s3_rows(bench: Bench, folder: Path) -> Iterator[Row]:
    """Rows against zarr-python with s3fs, which reads the very arrays that Osteon wrote."""
    with serve(folder) as server, patch.dict(os.environ, server.env):
        case = _case(f"s3://{server.bucket}/bench", bench.scan)
        peer = S3fsPatches(server.bucket, "bench/cases/scan.zarr", bench.side)
        yield bench.row("S3 on loopback, one reader", peer, case, readers=1, aim=10)


def main() -> None:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--patches", type=int, default=32, help="patches of a round")
    chosen = options.parse_args()
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # s3fs leaves connections open at exit, and says so
    shape, side = ((100, 192, 192), 64) if chosen.small else ((400, 512, 512), 128)
    bench = Bench(Scan.make(shape), side, chosen.patches, chosen.rounds)
    with tempfile.TemporaryDirectory() as local, tempfile.TemporaryDirectory() as remote:
        rows = [*local_rows(bench, Path(local)), *s3_rows(bench, Path(remote))]
    report(rows, as_json=chosen.json)


if __name__ == "__main__":
    main()
