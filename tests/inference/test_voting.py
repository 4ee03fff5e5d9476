"""A network of three voters through the whole stream: windows are averaged for each voter, then they vote."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from osteon.core.geometry import Index3
from osteon.core.labels import LabelTable
from osteon.data.preprocess import Intensity, ModelGrid
from osteon.inference.backends import BackendName, Head, open_backend
from osteon.inference.in_memory import InMemoryVolume
from osteon.inference.mirror import twin_classes
from osteon.inference.postprocess import PostprocessSpec
from osteon.inference.segmenter import Segmenter
from osteon.inference.windows import StreamSpec, WindowGrid, gaussian_weights
from osteon.models.multiaxial import MultiAxialUNet

NoiseScan = Callable[..., InMemoryVolume]
WINDOW = (8, 8, 8)
SCAN = (12, 8, 16)
TABLE = LabelTable.of({1: "sacrum", 2: "femur_left", 3: "femur_right"})


@pytest.fixture(params=["features", "logits"])
def network(request: pytest.FixtureRequest) -> MultiAxialUNet:
    torch.manual_seed(0)
    network = MultiAxialUNet(len(TABLE) + 1, (2 if request.param == "features" else 5, 4)).eval()
    assert Head.of(network).cheapest == request.param  # what is averaged over windows
    return network


def mean_scores(network: MultiAxialUNet, scan: Tensor, overlap: float) -> Tensor:
    """Every voter's scores (3K, Z, Y, X), averaged over windows by the definition."""
    weights = gaussian_weights(WINDOW)
    sums, total = torch.zeros(3 * network.num_classes, *scan.shape), torch.zeros(scan.shape)
    grid = WindowGrid((scan.shape[0], scan.shape[1], scan.shape[2]), WINDOW, overlap)
    for z in grid.starts[0]:
        for _, y, x in grid.row(z):
            where = (slice(z, z + 8), slice(y, y + 8), slice(x, x + 8))
            sums[:, *where] += network.scores(scan[where][None, None])[0] * weights
            total[where] += weights
    return sums / total


def elected(scores: Tensor, num_classes: int) -> npt.NDArray[np.int64]:
    """The vote, voxel by voxel, as one would count it."""
    columns = scores.reshape(3, num_classes, -1).double().numpy()
    found = []
    for n in range(columns.shape[2]):
        ballots = [int(voter.argmax()) for voter in columns[:, :, n]]
        leading = {kind for kind in ballots if ballots.count(kind) == max(map(ballots.count, ballots))}
        found.append(max(sorted(leading), key=lambda kind: columns[:, kind, n].sum()))
    return np.reshape(found, scores.shape[1:])


def segmenter(network: MultiAxialUNet, intensity: Intensity, *, mirror: bool = False) -> Segmenter:
    spec = StreamSpec(window_shape=WINDOW, overlap=0.5, bone_floor_hu=None, batch_size=2, mirror=mirror)
    engine = open_backend(network, "torch", WINDOW, 2, precision="float32", device="cpu")
    return Segmenter(engine, TABLE, spec, intensity, ModelGrid(), PostprocessSpec())


def test_a_scan_gets_the_labels_that_most_axes_name(
    network: MultiAxialUNet, noise_scan: NoiseScan, intensity: Intensity
) -> None:
    volume = noise_scan(SCAN)
    with torch.inference_mode():
        scores = mean_scores(network, intensity.apply(torch.from_numpy(volume.array)), 0.5)
    expected = elected(scores, 4)
    ballots = scores.reshape(3, 4, *SCAN).argmax(1)
    assert (ballots != ballots[0]).any(0).float().mean() > 0.2  # else there would be nothing to vote on
    found = segmenter(network, intensity).segment(volume)
    assert (found == expected).mean() > 0.999  # sums of float32 in another order


def test_mirrored_windows_change_places_within_each_voter(
    network: MultiAxialUNet, noise_scan: NoiseScan, intensity: Intensity
) -> None:
    volume = noise_scan(WINDOW)
    scan = intensity.apply(torch.from_numpy(volume.array))
    twins = torch.from_numpy(twin_classes(TABLE))
    with torch.inference_mode():
        plain = network.scores(scan[None, None])[0].reshape(3, 4, *WINDOW)
        mirrored = network.scores(scan.flip(-1)[None, None])[0].flip(-1).reshape(3, 4, *WINDOW)[:, twins]
    found = segmenter(network, intensity, mirror=True).segment(volume)
    assert (found == elected(((plain + mirrored) / 2).flatten(0, 1), 4)).mean() > 0.995


def test_head_of_groups_is_that_of_each_voter_in_its_place(network: MultiAxialUNet) -> None:
    head = Head.of(network)
    features = torch.randn(2, network.num_features, 3, 3, 3)
    assert (head.num_voters, head.num_classes) == (3, 4)
    torch.testing.assert_close(head.scores(features), network.head(features))


@pytest.mark.parametrize("engine", ["torch", "openvino"])
def test_engines_give_every_voters_scores(network: MultiAxialUNet, engine: BackendName) -> None:
    shape: Index3 = (8, 16, 8)
    backend = open_backend(network, engine, shape, 1, precision="float32")
    batch = torch.randn(1, 1, *shape)
    with torch.inference_mode():
        expected = network.scores(batch)
    assert backend.agreement > 0.99
    torch.testing.assert_close(torch.from_numpy(backend.logits(batch.numpy())), expected, rtol=1e-3, atol=1e-3)
