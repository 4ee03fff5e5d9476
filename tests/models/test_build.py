"""From a recipe's numbers to a network."""

import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError

from osteon.models.build import build
from osteon.models.network import num_parameters
from osteon.models.volume_specs import UNet3dSpec


def test_network_has_the_levels_and_classes_asked_for() -> None:
    network = build(UNet3dSpec(channels=(4, 8, 16), num_auxiliary=1), num_classes=7)
    assert network.stride == (4, 4, 4)
    assert network.head.out_channels == 7
    assert [tuple(output.logits_BKZYX.shape) for output in network.supervised(torch.zeros(1, 1, 8, 8, 8))] == [
        (1, 7, 8, 8, 8),
        (1, 7, 4, 4, 4),
    ]


def test_spec_knows_the_stride_of_its_network() -> None:
    spec = UNet3dSpec(channels=(2, 2, 2, 2), num_auxiliary=0)
    assert spec.stride == build(spec, num_classes=2).stride


def test_parameters_are_counted() -> None:
    network = build(UNet3dSpec(channels=(2, 3), num_auxiliary=0), num_classes=2)
    convolutions = 27 * (1 * 2 + 2 * 2 + 2 * 3 + 3 * 3 + 4 * 2 + 2 * 2)
    norms = 2 * (2 + 2 + 3 + 3 + 2 + 2)
    assert num_parameters(network) == convolutions + norms + (3 * 2 * 8 + 2) + (2 * 2 + 2)


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"channels": (4,)}, "at least 2"),
        ({"channels": (4, 0)}, "must be positive"),
        ({"channels": (4, 8), "num_auxiliary": 1}, "more than the 0 decoder levels"),
        ({"depth": 3}, "Extra inputs"),
    ],
)
def test_impossible_numbers_are_refused(values: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        UNet3dSpec.model_validate(values)


def test_recipes_are_read_without_what_only_some_networks_are_made_of() -> None:
    code = "import sys, osteon.recipes.recipe; sys.exit('monai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
