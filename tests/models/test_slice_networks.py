"""Networks that see axial slices: each slice by itself, the published heads as one 1x1 head, the published sizes."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

from osteon.core.errors import BadInput
from osteon.models.fcn import FCN
from osteon.models.network import NetworkSpec, num_parameters
from osteon.models.pspnet import PSPNet
from osteon.models.slice_specs import (
    FCNSpec,
    MultiAxialSpec,
    PretrainedUNet2dSpec,
    PSPNetSpec,
    SegNet2dSpec,
    UNet2dSpec,
)
from osteon.models.slicewise import SliceNetwork, enlarged
from osteon.models.unpool import unpool

TINY: dict[str, NetworkSpec] = {
    "fcn32": FCNSpec(architecture="fcn32", channels=(2, 3, 4, 4, 4), hidden=6),
    "fcn8": FCNSpec(architecture="fcn8", channels=(2, 3, 4, 4, 4), hidden=6),
    "pspnet": PSPNetSpec(channels=(2, 3, 4, 4, 4), pyramid=5),
    "unet2d": UNet2dSpec(channels=(2, 3, 4, 4), decoder=(3, 4, 5, 6)),
    "segnet2d": SegNet2dSpec(channels=(2, 3, 4, 4), bottleneck=6),
    "unet2d-vgg16": PretrainedUNet2dSpec(architecture="unet2d-vgg16", decoder=(3, 4, 5, 6)),
    "unet2d-resnet50": PretrainedUNet2dSpec(architecture="unet2d-resnet50", decoder=(3, 4, 5, 6)),
}


@pytest.fixture(params=list(TINY))
def network(request: pytest.FixtureRequest) -> SliceNetwork:
    torch.manual_seed(0)
    network = TINY[request.param].build(3)
    assert isinstance(network, SliceNetwork)
    with torch.no_grad():  # running means and deviations like those of a trained network
        network(torch.randn(4, 1, 2, 64, 64))
    return network.eval()


def test_every_slice_is_seen_by_itself(network: SliceNetwork) -> None:
    x = torch.randn(2, 1, 3, 64, 96)
    whole = network(x)
    assert whole.shape == (2, 3, 3, 64, 96)
    one = network(x[1:, :, 1:2])
    torch.testing.assert_close(whole[1:, :, 1:2], one, rtol=1e-3, atol=1e-3)


def test_scoring_the_coarse_map_is_scoring_the_enlarged_one(network: SliceNetwork) -> None:
    x = torch.randn(1, 1, 2, 64, 64)
    features = network.features(x)
    assert features.shape == (1, network.num_features, 2, 64, 64)
    torch.testing.assert_close(network.head(features), network(x), rtol=1e-3, atol=1e-3)


def test_fcn8_adds_up_three_maps_of_scores() -> None:
    torch.manual_seed(1)
    network = FCN(3, (2, 3, 4, 5, 6), hidden=7, fine=True).eval()
    x = torch.randn(1, 1, 1, 64, 64)
    maps = network.encoder(x[:, :, 0])
    weight, bias = network.head.weight[..., 0], network.head.bias

    def score(map_: torch.Tensor, first: int) -> torch.Tensor:
        return functional.conv2d(map_, weight[:, first : first + map_.shape[1]])

    scores = enlarged(score(network.wide(maps[4]), 0)) + score(maps[3], 7)
    scores = enlarged(scores) + score(maps[2], 12)
    assert bias is not None
    expected = enlarged(scores, 8) + bias[:, None, None]
    torch.testing.assert_close(network(x)[:, :, 0], expected, rtol=1e-4, atol=1e-4)


def test_pspnet_tells_a_pixel_what_is_at_the_other_end_of_the_slice() -> None:
    torch.manual_seed(0)
    network = PSPNet(3, (2, 2, 2, 2, 2), 3).eval()
    dark, light = torch.zeros(1, 1, 1, 256, 256), torch.zeros(1, 1, 1, 256, 256)
    light[..., 200:, 200:] = 5
    assert (network(dark)[..., :8, :8] - network(light)[..., :8, :8]).abs().max() > 1e-3


def test_pspnet_refuses_to_learn_from_one_slice() -> None:
    with pytest.raises(BadInput, match=r"one slice at a time \[one-slice\] — raise training\.batch_size"):
        PSPNet(3, (2, 2, 2, 2), 3)(torch.zeros(1, 1, 1, 64, 64))


def test_unpooling_is_torchs() -> None:
    x = torch.randn(2, 3, 8, 12)
    pooled, where = functional.max_pool2d(x, 2, return_indices=True)
    assert torch.equal(unpool(pooled, where, x.shape), nn.MaxUnpool2d(2)(pooled, where))


@pytest.mark.parametrize(
    ("spec", "parameters"),
    [
        (FCNSpec(architecture="fcn32"), 69_728_707),
        (FCNSpec(architecture="fcn8"), 69_730_243),
        (PSPNetSpec(), 3_261_379),
        (UNet2dSpec(), 4_464_643),
        (SegNet2dSpec(), 3_727_491),
        (PretrainedUNet2dSpec(architecture="unet2d-vgg16"), 12_317_955),
        (PretrainedUNet2dSpec(architecture="unet2d-resnet50"), 16_317_443),
        (MultiAxialSpec(), 34_584_858),
    ],
    ids=lambda value: value.architecture if isinstance(value, NetworkSpec) else "",
)
def test_published_sizes(spec: NetworkSpec, parameters: int) -> None:
    with torch.device("meta"):
        assert num_parameters(spec.build(3)) == parameters


@pytest.mark.parametrize(
    ("spec", "published"),
    [
        (FCNSpec(architecture="fcn32"), 69_767_683),
        (FCNSpec(architecture="fcn8"), 69_734_953),
        (PSPNetSpec(), 3_275_779),
        (UNet2dSpec(), 4_468_995),
        (SegNet2dSpec(), 3_694_851),
        (MultiAxialSpec(), 34_500_000),
    ],
    ids=lambda value: value.architecture if isinstance(value, NetworkSpec) else "",
)
def test_sizes_are_those_of_the_papers_within_a_hundredth(spec: NetworkSpec, published: int) -> None:
    with torch.device("meta"):
        assert num_parameters(spec.build(3)) == pytest.approx(published, rel=0.01)


@pytest.mark.parametrize("name", list(TINY))
def test_spec_knows_the_stride_of_its_network(name: str) -> None:
    spec = TINY[name]
    assert spec.stride == spec.build(2).stride
    spec.check_shape((1, 64, 96))
    with pytest.raises(ValueError, match="must be multiples of"):
        spec.check_shape((1, 64, 100))


def test_impossible_numbers_are_refused() -> None:
    with pytest.raises(ValidationError, match="3 decoder levels for 4 of the encoder"):
        UNet2dSpec(decoder=(2, 3, 4))
    with pytest.raises(ValidationError, match="greater than 0"):
        FCNSpec(hidden=0)
    with pytest.raises(ValidationError, match="pretrained and pretrained_sha256 go together"):
        PretrainedUNet2dSpec(pretrained="resnet50.pth")
