"""Ensembles through the stream: each member's logits are averaged over windows, then probabilities over members."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from monai.inferers.utils import sliding_window_inference
from torch import Tensor

from osteon.core.labels import LabelTable
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import BackendName, open_backend
from osteon.inference.in_memory import InMemoryVolume
from osteon.inference.mirror import twin_classes
from osteon.inference.stream import stream_labels
from osteon.inference.windows import StreamSpec
from osteon.models.build import build
from osteon.models.ensemble import Ensemble
from osteon.models.network import Network
from osteon.models.slice_specs import MultiAxialSpec, SegNet2dSpec
from osteon.models.view_specs import MultiResolutionSpec
from osteon.models.volume_specs import SegNet3dSpec, UNet3dSpec

NoiseScan = Callable[..., InMemoryVolume]
Labels = npt.NDArray[np.integer[Any]]
WINDOW = (8, 8, 8)
SCAN = (12, 10, 16)
TABLE = LabelTable.of({1: "sacrum", 2: "femur_left", 3: "femur_right"})
FEATURES = UNet3dSpec(channels=(2, 4), num_auxiliary=0)  # fewer than classes: they are averaged over windows
LOGITS = UNet3dSpec(channels=(5, 6), num_auxiliary=0)
UNPOOLING = SegNet3dSpec(channels=(3, 4), depths=(2, 2))
SLICES = SegNet2dSpec(channels=(3, 4), bottleneck=4)


def members(spec: Any, count: int) -> list[Network]:
    """Networks of different weights and, after some noise, of different statistics."""
    torch.manual_seed(0)
    networks = [build(spec, num_classes=len(TABLE) + 1) for _ in range(count)]
    for network in networks:
        with torch.no_grad():
            network(torch.randn(2, network.num_views, *WINDOW))
            network.head.weight.mul_(4)  # sure enough for the mean of probabilities to differ from that of logits
    return [network.eval() for network in networks]


def labels_of(
    network: Network,
    volume: InMemoryVolume,
    intensity: Intensity,
    engine: BackendName = "torch",
    *,
    mirror: bool = False,
    grid: ModelGrid | None = None,
) -> Labels:
    spec = StreamSpec(window_shape=WINDOW, bone_floor_hu=None, batch_size=2, mirror=mirror)
    backend = open_backend(network, engine, WINDOW, 2, precision="float32", device="cpu")
    twins = twin_classes(TABLE)
    blocks = stream_labels(volume, backend, spec, intensity, grid or ModelGrid(), zones=None, twins=twins)
    return np.concatenate([block for _, block in blocks])


def averaged(compute: Callable[[Tensor], Tensor], volume: InMemoryVolume, intensity: Intensity) -> Tensor:
    """MONAI's mean of logits over windows (K, Z, Y, X)."""
    x_ZYX = intensity.apply(torch.from_numpy(volume.array))
    with torch.inference_mode():
        logits = sliding_window_inference(x_ZYX[None, None], WINDOW, 1, compute, 0.5, "gaussian", 0.125)
    assert isinstance(logits, Tensor)
    return logits[0]


def assert_largest(labels: Labels, values_KZYX: Tensor, tolerance: float = 1e-5) -> None:
    """Each voxel's class has the largest value, up to rounding."""
    found = torch.from_numpy(labels.astype(np.int64))
    missing = values_KZYX.amax(0) - values_KZYX.gather(0, found[None])[0]
    assert float(missing.max()) < tolerance
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize(
    ("spec", "engine"),
    [
        (FEATURES, "torch"),
        (LOGITS, "torch"),
        (UNPOOLING, "torch"),
        (SLICES, "torch"),
        (FEATURES, "openvino"),
        (UNPOOLING, "openvino"),
    ],
    ids=lambda value: getattr(value, "architecture", value),
)
def test_labels_are_those_of_the_mean_of_the_members_probabilities(
    noise_scan: NoiseScan, intensity: Intensity, spec: Any, engine: BackendName
) -> None:
    volume, networks = noise_scan(SCAN), members(spec, 3)
    logits = torch.stack([averaged(network, volume, intensity) for network in networks])
    probability = logits.softmax(1).mean(0)
    named = logits.argmax(1)
    assert (named != named[0]).any(0).float().mean() > 0.1  # else there would be nothing to decide
    assert (probability.argmax(0) != logits.mean(0).argmax(0)).any()  # or logits could be averaged as well
    assert_largest(labels_of(Ensemble(networks), volume, intensity, engine), probability, 1e-4)


@pytest.mark.parametrize("spec", [FEATURES, LOGITS], ids=["features", "logits"])
def test_mirrored_windows_change_places_within_each_member(
    noise_scan: NoiseScan, intensity: Intensity, spec: Any
) -> None:
    volume, networks = noise_scan(SCAN), members(spec, 3)
    twins = torch.from_numpy(twin_classes(TABLE))

    def with_twin(network: Network) -> Callable[[Tensor], Tensor]:
        return lambda x: (network(x) + network(x.flip(-1)).flip(-1)[:, twins]) / 2

    logits = torch.stack([averaged(with_twin(network), volume, intensity) for network in networks])
    assert_largest(labels_of(Ensemble(networks), volume, intensity, mirror=True), logits.softmax(1).mean(0))


@pytest.mark.parametrize("spec", [FEATURES, LOGITS], ids=["features", "logits"])
@pytest.mark.parametrize("spacing_mm", [None, (1.3, 0.8, 1.7)])
def test_equal_members_label_like_one(
    noise_scan: NoiseScan, intensity: Intensity, spec: Any, spacing_mm: tuple[float, float, float] | None
) -> None:
    volume, [network], grid = noise_scan((24, 20, 24)), members(spec, 1), ModelGrid(spacing_mm=spacing_mm)
    alone = labels_of(network, volume, intensity, grid=grid)
    for count in (1, 3):
        together = labels_of(Ensemble([network] * count), volume, intensity, grid=grid)
        np.testing.assert_array_equal(together, alone)


def test_members_of_several_voters_all_vote(noise_scan: NoiseScan, intensity: Intensity) -> None:
    volume, networks = noise_scan(SCAN), members(MultiAxialSpec(channels=(3, 4)), 2)
    scores = [averaged(network.scores, volume, intensity).reshape(3, 4, *SCAN) for network in networks]
    ballots = torch.cat(scores).argmax(1)
    votes = torch.stack([(ballots == kind).sum(0) for kind in range(4)])
    leading = torch.cat(scores).sum(0).masked_fill(votes < votes.amax(0), -torch.inf)
    assert (votes.amax(0) == 3).any()  # a tie of three against three, or of fewer
    assert_largest(labels_of(Ensemble(networks), volume, intensity), leading)


def test_members_see_contexts_as_they_do_alone(noise_scan: NoiseScan, intensity: Intensity) -> None:
    volume, networks = noise_scan((16, 16, 24)), members(MultiResolutionSpec(channels=(3, 4, 4), contexts=2), 2)
    first, second = networks
    assert Ensemble(networks).num_views == 3
    np.testing.assert_array_equal(
        labels_of(Ensemble([first, first]), volume, intensity), labels_of(first, volume, intensity)
    )
    with torch.no_grad():
        second.head.weight.zero_()  # the same probability for every class of every voxel
        second.head.bias.zero_()  # type: ignore[union-attr]  # heads have one
    np.testing.assert_array_equal(
        labels_of(Ensemble([first, second]), volume, intensity), labels_of(first, volume, intensity)
    )
