"""Maps smaller than a kernel are computed in float32, larger ones as autocast says."""

import copy

import pytest
import torch
from torch import Tensor, nn

from osteon.training.small_maps import keep_small_maps_exact


def gradients(network: nn.Module, x: Tensor, *, bf16: bool) -> list[Tensor]:
    """Of the input and of all weights."""
    x = x.clone().requires_grad_()
    junk = [torch.full((1_000_000,), float("nan")) for _ in range(3)]
    del junk  # memory that is read without having been written shows
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        y = network(x)
    torch.autograd.backward(y.float().square().mean())
    assert x.grad is not None
    found = [x.grad, *(value.grad for value in network.parameters() if value.grad is not None)]
    network.zero_grad()
    return found


@pytest.mark.parametrize(("kernel", "side"), [(3, 2), (5, 4), (5, 3), (3, 1)])
def test_gradients_of_small_maps_are_those_of_float32(kernel: int, side: int) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(16, 16, kernel, padding=kernel // 2))
    plain = copy.deepcopy(network)
    keep_small_maps_exact(network)
    for _ in range(20):
        x = torch.randn(2, 16, side, side, side)
        for found, expected in zip(gradients(network, x, bf16=True), gradients(plain, x, bf16=False), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_large_maps_are_computed_as_autocast_says() -> None:
    network = nn.Sequential(nn.Conv3d(2, 2, 3, padding=1), nn.Conv3d(2, 2, 1))
    keep_small_maps_exact(network)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(torch.randn(1, 2, 3, 3, 3)).dtype == torch.bfloat16
        assert network[0](torch.randn(1, 2, 2, 3, 3)).dtype == torch.float32


def test_parameters_names_and_results_stay() -> None:
    network = nn.ModuleDict({"a": nn.Sequential(nn.Conv2d(1, 3, 3, padding=1)), "b": nn.Conv3d(1, 2, 1)})
    before = {name: id(value) for name, value in network.named_parameters()}
    x, single = torch.randn(1, 1, 2, 2), network["b"]
    expected = network["a"](x)
    keep_small_maps_exact(network)
    assert {name: id(value) for name, value in network.named_parameters()} == before
    assert torch.equal(network["a"](x), expected)
    assert network["b"] is single
    assert copy.deepcopy(network).state_dict().keys() == network.state_dict().keys()
