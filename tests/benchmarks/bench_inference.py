"""A whole scan through a network on the processor: Osteon against MONAI's sliding_window_inference in eager float32.

Both get the same weights, windows, overlap and Gaussian, and give labels. The peer is given the normalised scan;
Osteon reads HU. Rows against a "limit" compare what differs with what may. The scan is ts-abdomen-pelvis of the real
scans on a 1.5 mm grid (a made-up one where that is missing); the network is a model given by --model, or one trained on
the spot: random weights would agree with nothing. Memory is the peak of a fresh process with 126 classes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import memory_inference
import numpy as np
import numpy.typing as npt
import torch
from harness import Row, compare, compare_many, ms_per_item, parser, report
from monai.inferers.utils import sliding_window_inference
from quick_net import Lesson, fit
from scan import Scan
from torch import Tensor, nn

from osteon.core.geometry import Grid, Index3
from osteon.core.labels import BONES, LabelTable
from osteon.data.preprocess import Intensity, ModelGrid, locate, resample_linear, resample_nearest
from osteon.inference.backends import open_backend
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.postprocess import PostprocessSpec
from osteon.inference.segmenter import Segmenter
from osteon.inference.windows import StreamSpec
from osteon.models.volume_specs import UNet3dSpec
from osteon.recipes.bundle import load_bundle
from osteon.storage.importers import plan_import
from osteon.storage.readers import Rejected, open_scan, read_labels

REAL_SCANS = Path(os.environ.get("OSTEON_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
PEER = "MONAI sliding_window_inference, eager float32"
FLOOR_HU = 150.0
FORWARDS = 5  # of the network alone, in a round
Labels = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]


def main() -> None:
    """Print the rows."""
    options = parser(__doc__)
    options.add_argument("--model", default=os.environ.get("OSTEON_BENCH_MODEL"), help="a trained bundle's URL")
    options.add_argument("--minutes", type=float, default=5.0, help="of training, if no model is given")
    chosen = options.parse_args()
    case = Case.made_up((64, 96, 96)) if chosen.small else Case.real(REAL_SCANS)
    model = load_model(chosen.model) if chosen.model else train_model(case, 0.2 if chosen.small else chosen.minutes)
    sizes: tuple[Index3, Index3] = (
        ((96, 96, 96), (96, 128, 128)) if chosen.small else ((256, 256, 256), (400, 512, 512))
    )
    bench = Bench(model, case.resampled(model.grid), chosen.rounds)
    report([*bench.speed(), *bench.accuracy(), *memory(*sizes)], as_json=chosen.json)


@dataclass(frozen=True)
class Case:
    """A scan with its bones.

    Attributes:
        image: HU int16, z, y, x.
        labels: bone ids of the bone table.
        grid: where the voxels lie.
    """

    image: npt.NDArray[np.int16]
    labels: Labels
    grid: Grid

    @classmethod
    def real(cls, folder: Path) -> Case:
        """Abdomen and pelvis with 24 bones, 3 mm; the made-up one if there is no such file."""
        source = folder / "ts-abdomen-pelvis-nifti"
        if not source.is_dir():
            return cls.made_up((160, 224, 224))
        labels, names = source / "label_v1_uint8.nii.gz", source / "labels_v1.json"
        plan = plan_import([source / "example_ct.nii.gz"], layout="scans", labels=labels, labels_map=names)
        found = plan.cases[0]
        if isinstance(found, Rejected) or found.labels is None:
            raise SystemExit(f"{source} is not what it was: {found}")
        with tempfile.TemporaryDirectory() as scratch:
            scan = open_scan(found.scan, scratch=Path(scratch))
            ids = read_labels(found.labels, scan, BONES)
            return cls(scan.read(), ids.read_slab(0, scan.grid.shape[0]).astype(np.uint8), scan.grid)

    @classmethod
    def made_up(cls, shape: Index3) -> Case:
        """The benchmarks' made-up scan."""
        scan = Scan.make(shape)
        return cls(scan.image, scan.labels, Grid(shape, (1.5, 1.5, 1.5)))

    def resampled(self, grid: ModelGrid) -> Case:
        """The same scan as if it had been stored on a model's grid: no side has to resample."""
        target = grid.grid_of(self.grid)
        where = locate(self.grid, target.spacing_mm, (0, 0, 0), target.shape)
        image = resample_linear(torch.from_numpy(self.image), where.positions).round().to(torch.int16)
        labels = resample_nearest(torch.from_numpy(self.labels), where.positions)
        return Case(image.numpy(), labels.numpy(), target)


@dataclass(frozen=True)
class Model:
    """A trained network and how it is applied.

    Attributes:
        network: in evaluation mode.
        table: bones of classes 1, 2, … in order.
        intensity: from HU to its input.
        grid: the grid it was trained on.
        spec: how scans are cut into windows; nothing is skipped.
    """

    network: nn.Module
    table: LabelTable
    intensity: Intensity
    grid: ModelGrid
    spec: StreamSpec


def load_model(url: str) -> Model:
    """The model of a bundle."""
    bundle = load_bundle(url)
    recipe = bundle.recipe
    spec = recipe.inference.model_copy(update={"bone_floor_hu": None, "mirror": False})
    return Model(bundle.network, bundle.table, recipe.intensity, recipe.grid, spec)


def train_model(case: Case, minutes: float) -> Model:
    """A network that knows the case; its architecture is that of the packaged recipes."""
    grid = ModelGrid(spacing_mm=(2.0, 2.0, 2.0))
    intensity = Intensity(clip_hu=(-200, 1500), mean=100, std=300)
    lesson, table = case.resampled(grid), BONES.subset(np.unique(case.labels).tolist())
    classes = torch.from_numpy(table.class_of()[lesson.labels]).long()
    network = fit(
        Lesson(intensity.apply(torch.from_numpy(lesson.image)), classes, len(table) + 1, side=64), UNet3dSpec(), minutes
    )
    return Model(network, table, intensity, grid, StreamSpec(window_shape=(64, 64, 64), bone_floor_hu=None))


class Bench:
    """One model on one scan: MONAI's labels, Osteon's, and Osteon's with windows skipped.

    Args:
        model: the network.
        case: on the model's grid.
        rounds: measured rounds of each side.
    """

    def __init__(self, model: Model, case: Case, rounds: int) -> None:
        self._model, self._case, self._rounds = model, case, rounds
        self._input = model.intensity.apply(torch.from_numpy(case.image))[None, None]
        self._image = InMemoryVolume(case.image, case.grid)
        backend = open_backend(model.network, "auto", model.spec.window_shape, model.spec.batch_size, device="cpu")
        skipping = model.spec.model_copy(update={"bone_floor_hu": FLOOR_HU})
        self._segmenter = Segmenter(backend, model.table, skipping, model.intensity, ModelGrid(), PostprocessSpec())

    def speed(self) -> Iterator[Row]:
        """Seconds of a scan."""
        scan = f"one scan {self._case.image.shape}"
        rows = [
            (f"{scan}, exact", partial(_seconds, self.exact), 5.0),
            (f"{scan}, windows without bone skipped", partial(_seconds, self.skipping), 10.0),
        ]
        yield from compare_many(rows, PEER, peer=partial(_seconds, self.peer), unit="s", rounds=self._rounds)
        yield compare(
            "one window 64³, the network alone",
            "torch, eager float32",
            peer=self._forward(self._eager),
            ours=self._forward(self._engine),
            unit="ms",
            rounds=self._rounds,
        )

    def _forward(self, compute: Callable[[Tensor], object]) -> Callable[[], float]:
        window = self._input[:, :, :64, :64, :64].contiguous()
        return lambda: ms_per_item(lambda: [compute(window) for _ in range(FORWARDS)], FORWARDS)

    def _eager(self, window: Tensor) -> object:
        with torch.inference_mode():
            return self._model.network(window)

    def _engine(self, window: Tensor) -> object:
        backend = self._segmenter.backend
        return backend.submit(window, backend.head.cheapest).result()

    def accuracy(self) -> Iterator[Row]:
        """What is labelled otherwise, against what may be."""
        peer, exact, skipping = self.peer(), self.exact(), self.skipping()
        bone = (peer > 0) | (exact > 0)
        yield _limit("voxels labelled otherwise, exact", "‰", 1.0, 1e3 * float((peer != exact).mean()))
        yield _limit("bone voxels labelled otherwise, exact", "‰", 10.0, 1e3 * float((peer != exact)[bone].mean()))
        lost = self._dice(exact) - self._dice(skipping)
        yield _limit(f"Dice changed by skipping (exact has {self._dice(exact):.3f})", "‰", 1.0, 1e3 * abs(lost))

    def peer(self) -> Labels:
        """Label ids by MONAI."""
        spec, air = self._model.spec, float(self._model.intensity.apply(torch.tensor(self._model.spec.padding_hu)))
        with torch.inference_mode():
            logits = sliding_window_inference(
                self._input,
                spec.window_shape,
                spec.batch_size,
                self._model.network,
                overlap=spec.overlap,
                mode="gaussian",
                cval=air,
            )
        assert isinstance(logits, torch.Tensor)
        labels: Labels = self._model.table.id_of_class()[logits.argmax(1)[0].numpy()]
        return labels

    def exact(self) -> Labels:
        """Label ids by Osteon, every window computed."""
        return self._segmenter.exact().segment(self._image)

    def skipping(self) -> Labels:
        """Label ids by Osteon, with the zone map of a scan that was just read."""
        return self._segmenter.segment(self._image, zones_of(self._case.image))

    def _dice(self, labels: Labels) -> float:
        truth = self._case.labels
        present = [id_ for id_ in self._model.table.names if (truth == id_).any()]
        scores = [
            2 * ((labels == id_) & (truth == id_)).sum() / ((labels == id_).sum() + (truth == id_).sum())
            for id_ in present
        ]
        return float(np.mean(scores))


def memory(cube: Index3, scan: Index3) -> Iterator[Row]:
    """Peak memory of a process, and whether a long scan with all bones fits where it cannot with its logits."""
    peer, ours = (memory_inference.measure(who, cube)[0] for who in ("monai", "ours"))
    yield Row(f"peak memory, 126 classes, {cube}", PEER, "MB", peer, ours, 8, 1)
    peak, seconds = memory_inference.measure("ours", scan)
    yield _limit(f"peak memory, 126 classes, {scan}, {seconds:.0f} s", "MB", 4096, peak)


def _seconds(work: Callable[[], object]) -> float:
    return ms_per_item(work, 1) / 1e3


def _limit(name: str, unit: str, limit: float, value: float) -> Row:
    return Row(name, "limit", unit, limit, max(value, 1e-9), 1, 1)


if __name__ == "__main__":
    main()
