"""The 3D U-Net: shapes, the split into features and head, deep supervision, gradients."""

import pytest
import torch

from osteon.models.unet3d import UNet3d


@pytest.fixture
def network() -> UNet3d:
    torch.manual_seed(0)
    return UNet3d(num_classes=5, channels=(4, 6, 8), num_auxiliary=1)


@pytest.mark.parametrize("shape", [(8, 8, 8), (12, 4, 20), (4, 8, 4), (20, 12, 4)])
def test_output_has_the_shape_of_any_input_of_whole_strides(network: UNet3d, shape: tuple[int, int, int]) -> None:
    assert all(side % stride == 0 for side, stride in zip(shape, network.stride, strict=True))
    assert network(torch.randn(2, 1, *shape)).shape == (2, 5, *shape)


def test_stride_follows_the_number_of_levels() -> None:
    assert UNet3d(2, (2, 2), 0).stride == (2, 2, 2)
    assert UNet3d(2, (2, 2, 2, 2, 2), 0).stride == (16, 16, 16)


def test_head_of_features_is_forward(network: UNet3d) -> None:
    x = torch.randn(1, 1, 8, 12, 8)
    features = network.features(x)
    assert features.shape == (1, network.num_features, 8, 12, 8)
    assert torch.equal(network.head(features), network(x))


def test_head_is_linear_so_features_can_be_averaged_before_it(network: UNet3d) -> None:
    one, other = (network.features(torch.randn(1, 1, 8, 8, 8)) for _ in range(2))
    torch.testing.assert_close(
        network.head((one + 3 * other) / 4), (network.head(one) + 3 * network.head(other)) / 4, rtol=1e-4, atol=1e-5
    )


def test_supervised_levels_halve_and_the_finest_is_forward(network: UNet3d) -> None:
    x = torch.randn(1, 1, 16, 8, 8)
    fine, coarse = network.supervised(x)
    assert torch.equal(fine.logits_BKZYX, network(x))
    assert coarse.logits_BKZYX.shape == (1, 5, 8, 4, 4)
    assert (fine.step, coarse.step) == ((1, 1, 1), (2, 2, 2))


def test_gradients_reach_every_parameter(network: UNet3d) -> None:
    outputs = network.supervised(torch.randn(2, 1, 8, 8, 8))
    torch.autograd.backward([output.logits_BKZYX.square().mean() for output in outputs])
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert still == []


def test_result_does_not_depend_on_the_other_images_of_a_batch(network: UNet3d) -> None:
    x = torch.randn(3, 1, 8, 8, 8)
    torch.testing.assert_close(network(x)[1:2], network(x[1:2]), rtol=1e-4, atol=1e-5)


def test_bfloat16_stays_near_float32(network: UNet3d) -> None:
    x = torch.randn(1, 1, 16, 16, 16)
    with torch.no_grad():
        exact = network(x)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(x)
    assert rough.dtype == torch.bfloat16
    assert float((rough.float() - exact).square().mean().sqrt() / exact.std()) < 0.05
