from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from osteon.core.labels import BONES, table_for
from osteon.inference.mirror import Contribution, twin_classes
from osteon.inference.torch_backend import TorchBackend

NetOf = Callable[..., nn.Module]
WINDOW = (8, 8, 8)


def backend(network: nn.Module) -> TorchBackend:
    return TorchBackend(network, WINDOW, 1, torch.device("cpu"))


def test_twins_are_class_numbers_not_ids() -> None:
    table = table_for(["sacrum", "femur_left", "femur_right", "hip_left", "lump"])
    names = ["", *(label.name for label in table.labels)]
    twins = {names[number]: names[twin] for number, twin in enumerate(twin_classes(table))}
    assert twins == {
        "": "",
        "sacrum": "sacrum",
        "hip_left": "hip_left",  # its twin is not in the table
        "femur_left": "femur_right",
        "femur_right": "femur_left",
        "lump": "lump",
    }
    assert sorted(twin_classes(BONES)) == list(range(len(BONES) + 1))


@pytest.mark.parametrize(
    ("num_features", "num_classes", "mirrored", "output", "channels"),
    [
        (4, 9, False, "features", 4),
        (4, 4, False, "logits", 4),
        (4, 9, True, "features", 8),
        (4, 6, True, "logits", 6),
    ],
)
def test_the_fewest_channels_are_averaged(
    tiny_net: NetOf, num_features: int, num_classes: int, mirrored: bool, output: str, channels: int
) -> None:
    twins = np.arange(num_classes) if mirrored else None
    contribution = Contribution.smallest(backend(tiny_net(num_features, num_classes)), twins)
    assert (contribution.output, contribution.num_channels) == (output, channels)
    result = contribution.submit(torch.zeros(1, 1, *WINDOW)).result()
    assert result.shape == (1, channels, *WINDOW)


@pytest.mark.parametrize("num_classes", [5, 12])
def test_mirrored_scores_are_the_mean_of_both_with_sides_swapped(tiny_net: NetOf, num_classes: int) -> None:
    network = tiny_net(4, num_classes)
    twins = np.arange(num_classes)
    twins[[1, 2]] = [2, 1]
    batch = torch.randn(1, 1, *WINDOW, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = (network(batch) + network(batch.flip(-1)).flip(-1)[:, twins]) / 2
    contribution = Contribution.smallest(backend(network), twins)
    found = contribution.submit(batch).result()[0]
    matrix = contribution.scoring().matrix
    if matrix is not None:
        found = torch.einsum("kc,czyx->kzyx", matrix, torch.cat([found, torch.ones_like(found[:1])]))
    torch.testing.assert_close(found, expected[0], atol=1e-5, rtol=1e-5)
