"""What every network must do, whatever its architecture: a new one adds its tiny numbers to `tiny_networks`."""

import warnings

import openvino
import pytest
import torch
from tiny_networks import TINY
from torch import Tensor
from torch.jit._trace import TracerWarning
from torch.nn import functional

from osteon.core.geometry import Index3
from osteon.models.build import SPECS, build
from osteon.models.network import Network, NetworkSpec
from osteon.training.losses import LossSpec, SupervisedLoss

K = 3
BF16_ERROR = 0.2  # of logits, relative to their spread; where rounding ties two voxels, SegNet may unpool to the other

every_network = pytest.mark.parametrize("name", sorted(SPECS))
trained_network = pytest.mark.parametrize("name", sorted(SPECS.keys() - {"ensemble"}))  # that is made of trained ones


def spec_of(name: str) -> NetworkSpec:
    return SPECS[name].model_validate({"architecture": name, **TINY[name]})


def network_of(name: str) -> Network:
    torch.manual_seed(1)
    network = build(spec_of(name), num_classes=K)
    return _settle(network, _input(name, (2, 2, 2)))


def _settle(network: Network, x_BVZYX: Tensor) -> Network:
    """Running statistics of batch norms as after some training, or evaluation would not resemble it."""
    network.train()
    with torch.no_grad():
        for _ in range(20):
            network.supervised(x_BVZYX)
    return network.eval()


def _shape(name: str, times: Index3) -> Index3:
    z, y, x = (count * side for count, side in zip(times, spec_of(name).stride, strict=True))
    return (z, y, x)


def _input(name: str, times: Index3, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(batch, 1 + spec_of(name).num_contexts, *_shape(name, times), generator=generator)


@every_network
@pytest.mark.parametrize("times", [(2, 2, 2), (3, 1, 2)])
def test_features_head_and_forward_agree_on_any_whole_strides(name: str, times: Index3) -> None:
    network, x = network_of(name), _input(name, times)
    spec_of(name).check_shape(_shape(name, times))
    assert network.stride == spec_of(name).stride
    assert network.num_views == x.shape[1]
    with torch.no_grad():
        features, logits = network.features(x), network(x)
    assert features.shape == (2, network.num_features, *x.shape[2:])
    assert logits.shape == (2, K, *x.shape[2:])


@every_network
def test_forward_is_the_head_of_the_features(name: str) -> None:
    network, x = network_of(name), _input(name, (1, 2, 1))
    with torch.no_grad():
        scores = network.head(network.features(x)).chunk(network.num_voters, dim=1)
        torch.testing.assert_close(torch.stack(scores).mean(0), network(x), rtol=1e-4, atol=1e-4)


@trained_network
def test_supervised_scores_fit_the_labels(name: str) -> None:
    network, x = network_of(name), _input(name, (2, 1, 2))
    with torch.no_grad():
        outputs, logits = network.supervised(x), network(x)
    voters = [output.logits_BKZYX for output in outputs[: network.num_voters]]
    torch.testing.assert_close(torch.stack(voters).mean(0), logits)
    judged = spec_of(name).num_contexts if spec_of(name).supervises_contexts else 0
    assert {output.view for output in outputs} == set(range(1 + judged))
    for output in outputs:
        z, y, x_ = output.step
        labels = x[:, 0, ::z, ::y, ::x_]
        assert output.logits_BKZYX.shape == (2, K, *labels.shape[1:])


@trained_network
def test_gradients_reach_every_parameter(name: str) -> None:
    network = network_of(name).train()
    outputs = network.supervised(_input(name, (2, 2, 2)))
    torch.autograd.backward([(output.logits_BKZYX**2).mean() for output in outputs])
    still = [key for key, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert still == []


@every_network
def test_bfloat16_stays_near_float32(name: str) -> None:
    network, x = network_of(name), _input(name, (2, 2, 2))
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
    assert rough.dtype == torch.bfloat16
    assert float((rough.float() - exact).square().mean().sqrt() / exact.std()) < BF16_ERROR


@every_network
def test_result_does_not_depend_on_the_other_images_of_a_batch(name: str) -> None:
    network, x = network_of(name), _input(name, (2, 1, 1), batch=3)
    with torch.no_grad():
        torch.testing.assert_close(network(x)[1:2], network(x[1:2]), rtol=1e-4, atol=1e-4)


@every_network
def test_openvino_computes_the_same(name: str) -> None:
    network, x = network_of(name), _input(name, (2, 1, 2), batch=1)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r".*torch\.jit", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=TracerWarning)
        graph = openvino.convert_model(network, example_input=x, input=[tuple(x.shape)])
    compiled = openvino.Core().compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(compiled(x.numpy())[0]), network(x), rtol=1e-3, atol=1e-3)


@trained_network
def test_learns_one_tiny_case(name: str) -> None:
    """Blobs of three classes, brighter by class: the loss must fall below half within some steps.

    Blobs are about as large as the coarsest map's cells: FCN-32 and PSPNet score such a map.
    """
    network = network_of(name).train()
    cells = torch.randn(2, network.num_views, 2, 2, 2, generator=torch.Generator().manual_seed(7))
    x = functional.interpolate(cells, size=_shape(name, (2, 2, 2)), mode="trilinear")
    labels = [torch.bucketize(x[:, view].contiguous(), torch.tensor([-0.3, 0.3])) for view in range(x.shape[1])]
    loss = SupervisedLoss(LossSpec())
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-2)
    losses = []
    for _ in range(40):
        optimizer.zero_grad()
        now = loss(network.supervised(x), labels)
        torch.autograd.backward(now)
        optimizer.step()
        losses.append(float(now.detach()))
    assert losses[-1] < losses[0] / 2
