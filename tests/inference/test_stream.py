from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor, nn

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid, Index3, Vector3
from osteon.data.preprocess import Intensity, ModelGrid, locate, resample_linear
from osteon.inference.backends import open_backend
from osteon.inference.in_memory import InMemoryVolume, zones_of
from osteon.inference.schedule import Schedule
from osteon.inference.stream import stream_labels
from osteon.inference.view import ModelView
from osteon.inference.windows import StreamSpec, WindowGrid
from osteon.telemetry.metrics import Notes

NetOf = Callable[..., nn.Module]
ScanOf = Callable[..., InMemoryVolume]
Labels = npt.NDArray[np.generic]
OWN = ModelGrid()


def stream(
    scan: InMemoryVolume, network: nn.Module, spec: StreamSpec, intensity: Intensity, **options: object
) -> Labels:
    """The stream's blocks joined; checks that they follow one another."""
    backend = open_backend(network, "torch", spec.window_shape, device="cpu")
    grid = options.pop("grid", OWN)
    blocks = list(stream_labels(scan, backend, spec, intensity, grid, **({"zones": None} | options)))  # type: ignore[arg-type]
    ends = [first + len(block) for first, block in blocks]
    assert [first for first, _ in blocks][1:] == ends[:-1]
    return np.concatenate([block for _, block in blocks])


def monai_logits(x_ZYX: Tensor, network: nn.Module, spec: StreamSpec, intensity: Intensity) -> Tensor:
    air = float(intensity.apply(torch.tensor(spec.padding_hu)))
    with torch.inference_mode():
        logits = sliding_window_inference(
            x_ZYX[None, None],
            spec.window_shape,
            1,
            network,
            overlap=spec.overlap,
            mode="gaussian",
            sigma_scale=0.125,
            cval=air,
        )
    assert isinstance(logits, Tensor)
    return logits[0]


def assert_labels_of(labels: Labels, logits_KZYX: Tensor) -> None:
    """Equal to the argmax except where two classes are as good as each other."""
    top = logits_KZYX.topk(2, dim=0).values
    differ = torch.from_numpy(labels.astype(np.int64)) != logits_KZYX.argmax(0)
    assert labels.shape == tuple(logits_KZYX.shape[1:])
    assert not (differ & (top[0] - top[1] > 1e-4)).any()


@pytest.mark.parametrize("num_classes", [3, 9])  # 4 features: logits are averaged, then features
@pytest.mark.parametrize(
    ("shape", "window_shape", "overlap"),
    [
        ((20, 33, 41), (16, 16, 16), 0.5),
        ((9, 33, 12), (16, 16, 16), 0.3),
        ((40, 17, 50), (16, 24, 8), 0.25),
        ((16, 16, 16), (16, 16, 16), 0.5),
        ((5, 6, 7), (8, 8, 8), 0.5),
        ((17, 11, 13), (6, 7, 5), 0.61),
        ((20, 10, 10), (8, 8, 8), 0.0),
    ],
)
def test_labels_are_those_of_monais_inferer(
    tiny_net: NetOf,
    noise_scan: ScanOf,
    intensity: Intensity,
    num_classes: int,
    shape: Index3,
    window_shape: Index3,
    overlap: float,
) -> None:
    network, scan = tiny_net(4, num_classes), noise_scan(shape)
    spec = StreamSpec(window_shape=window_shape, overlap=overlap, batch_size=3)
    labels = stream(scan, network, spec, intensity)
    assert labels.dtype == np.uint8
    assert len(np.unique(labels)) > 1
    assert_labels_of(labels, monai_logits(intensity.apply(torch.from_numpy(scan.array)), network, spec, intensity))


@pytest.mark.parametrize("spacing", [(0.8, 1.3, 1.0), (2.6, 2.1, 2.2)])
def test_on_another_grid_averages_are_interpolated(
    tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity, spacing: Vector3
) -> None:
    network, scan = tiny_net(), noise_scan((40, 25, 30))
    spec, grid = StreamSpec(window_shape=(8, 8, 8)), ModelGrid(spacing_mm=spacing)
    labels = stream(scan, network, spec, intensity, grid=grid)
    view = ModelView.of(scan, (), grid, intensity)
    on_grid = view.request((0, 0, 0), view.grid.shape).result(torch.device("cpu"))
    logits = monai_logits(on_grid, network, spec, intensity)
    where = locate(view.grid, scan.grid.spacing_mm, (0, 0, 0), scan.grid.shape)
    part = tuple(slice(first, first + count) for first, count in zip(where.start, where.shape, strict=True))
    assert_labels_of(labels, resample_linear(logits[(slice(None), *part)], where.positions))


@pytest.mark.parametrize("spacing", [None, (0.8, 1.3, 1.0), (1.9, 1.5, 1.6)])
@pytest.mark.parametrize("z_range", [(0, 7), (11, 12), (13, 30), (0, 30)])
def test_a_range_alone_gets_the_labels_of_the_whole(
    tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity, spacing: Vector3 | None, z_range: tuple[int, int]
) -> None:
    network, scan = tiny_net(), noise_scan((30, 17, 12))
    zones = zones_of(np.where(np.asarray(scan.array, int) > 1450, scan.array, -1000), (4, 4, 4))
    spec, grid = StreamSpec(window_shape=(8, 8, 8), bone_floor_hu=1497), ModelGrid(spacing_mm=spacing)
    whole = stream(scan, network, spec, intensity, grid=grid, zones=zones)
    part = stream(scan, network, spec, intensity, grid=grid, zones=zones, z_range=z_range)
    np.testing.assert_array_equal(part, whole[slice(*z_range)])


def test_skipping_changes_nothing_where_every_window_is_computed(tiny_net: NetOf, intensity: Intensity) -> None:
    hu = np.random.default_rng(2).integers(-1000, 100, (24, 40, 32)).astype(np.int16)
    hu[14:18, 20:24, 8:12] = 600
    scan, network = InMemoryVolume(hu, Grid(hu.shape)), tiny_net()
    spec, zones = StreamSpec(window_shape=(8, 8, 8), bone_floor_hu=300), zones_of(hu, (4, 4, 4))
    exact = stream(scan, network, spec.model_copy(update={"bone_floor_hu": None}), intensity, zones=zones)
    numbers = Notes()
    labels = stream(scan, network, spec, intensity, zones=zones, numbers=numbers)
    view, windows = ModelView.of(scan, (), OWN, intensity), WindowGrid(hu.shape, (8, 8, 8), 0.5)
    computed, covering = np.zeros(hu.shape, int), np.zeros(hu.shape, int)
    for counts, floor in ((computed, 300.0), (covering, None)):
        for row in Schedule.of(windows, (0, 24), view, zones, floor).rows:
            for z, y, x in row.windows:
                counts[z : z + 8, y : y + 8, x : x + 8] += 1
    np.testing.assert_array_equal(labels[computed == covering], exact[computed == covering])
    assert (computed[14:18, 20:24, 8:12] > 0).all()
    assert (computed == covering).sum() > 100
    assert not labels[computed == 0].any()
    assert exact[computed == 0].any()
    told = {note.labels: note.value * 8**3 for note in numbers.take()}
    assert told == {("computed",): computed.sum(), ("skipped",): (covering - computed).sum()}


def test_a_scan_without_bone_is_background_and_computes_nothing(
    tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity
) -> None:
    scan = noise_scan((20, 12, 12))
    spec = StreamSpec(window_shape=(8, 8, 8), bone_floor_hu=2000)
    for grid in (OWN, ModelGrid(spacing_mm=(1.4, 0.9, 1.0))):
        labels = stream(scan, tiny_net(), spec, intensity, grid=grid, zones=zones_of(scan.array))
        assert labels.shape == (20, 12, 12)
        assert not labels.any()


def test_mirroring_averages_with_the_mirror_image(tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity) -> None:
    network, scan = tiny_net(), noise_scan((12, 10, 17))
    twins = np.array([0, 2, 1, 3, 4, 6, 5, 7, 8])
    spec = StreamSpec(window_shape=(8, 8, 8), mirror=True)
    labels = stream(scan, network, spec, intensity, twins=twins)

    class Averaged(nn.Module):
        def forward(self, x_BCZYX: Tensor) -> Tensor:
            return torch.as_tensor((network(x_BCZYX) + network(x_BCZYX.flip(-1)).flip(-1)[:, twins]) / 2)

    x = intensity.apply(torch.from_numpy(scan.array))
    assert_labels_of(labels, monai_logits(x, Averaged(), spec, intensity))
    with pytest.raises(BadInput, match="no-twins"):
        stream(scan, network, spec, intensity)


def test_labels_of_more_classes_than_a_byte_holds(tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity) -> None:
    network, scan = tiny_net(4, 300), noise_scan((8, 10, 9))
    spec = StreamSpec(window_shape=(8, 8, 8))
    labels = stream(scan, network, spec, intensity)
    assert labels.dtype == np.uint16
    assert_labels_of(labels, monai_logits(intensity.apply(torch.from_numpy(scan.array)), network, spec, intensity))


def test_progress_counts_windows_to_the_end(tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity) -> None:
    seen: list[tuple[int, int]] = []
    spec = StreamSpec(window_shape=(8, 8, 8), batch_size=4)
    stream(noise_scan((12, 8, 17)), tiny_net(), spec, intensity, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(4, 8), (8, 8)]


def test_planes_outside_the_scan_are_refused(tiny_net: NetOf, noise_scan: ScanOf, intensity: Intensity) -> None:
    for z_range in ((3, 3), (-1, 4), (4, 9)):
        with pytest.raises(BadInput, match="z-range"):
            stream(noise_scan((8, 8, 8)), tiny_net(), StreamSpec(window_shape=(8, 8, 8)), intensity, z_range=z_range)
