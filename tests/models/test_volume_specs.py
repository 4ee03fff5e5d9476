"""The 3D networks are those of their papers: as many parameters as published or as a public implementation has."""

from typing import Any

import pytest
import torch
from monai.networks.nets.dynunet import DynUNet
from monai.networks.nets.vnet import VNet
from pydantic import ValidationError

from osteon.models.build import SPECS
from osteon.models.classic_unet import ClassicUNet3d
from osteon.models.network import NetworkSpec, num_parameters
from osteon.models.nnunet import NnUNet
from osteon.models.segnet3d import SegNet3d
from osteon.models.volume_specs import ClassicUNet3dSpec, NnUNetSpec, UNet3dSpec, VNetSpec


def count(spec: NetworkSpec, num_classes: int = 2) -> int:
    with torch.device("meta"):
        return num_parameters(spec.build(num_classes))


def test_classic_unet_has_the_published_parameters() -> None:
    """19,069,955 with 3 image channels and 3 classes (Cicek et al. 2016), whose norms have no scale and ups no bias."""
    own = count(ClassicUNet3dSpec(num_auxiliary=0), num_classes=3)
    first, scales, biases = 27 * 32 * (3 - 1), 2336, 512 + 256 + 128
    assert own + first - scales - biases == 19_069_955


def test_default_nnunet_has_31_million_parameters() -> None:
    """31.2 million for the vertebrae of Saillard et al. 2023."""
    assert count(NnUNetSpec(num_auxiliary=0)) == pytest.approx(31.2e6, rel=0.005)


def test_saillards_unet_has_12_million_parameters() -> None:
    assert count(UNet3dSpec(channels=(24, 48, 96, 192, 360), num_auxiliary=0)) == pytest.approx(12e6, rel=0.02)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("classic-unet3d", 19.1), ("resunet3d", 26.5), ("segnet3d", 45.9), ("kiunet3d", 0.147), ("vnet", 65.2)],
)
def test_default_specs_have_the_documented_parameters(name: str, millions: float) -> None:
    assert count(SPECS[name].model_validate({"architecture": name})) == pytest.approx(millions * 1e6, rel=0.005)


def test_vnet_has_the_parameters_of_monais() -> None:
    """MONAI's coarsest decoder stage has a layer less, and one more stands before its head."""
    monais = num_parameters(VNet(spatial_dims=3, in_channels=1, out_channels=2, act="prelu", bias=False))
    before_head = 125 * 32 * 2 + 2 * 2 + 2  # weights, norm, PReLU
    layer = 125 * 256**2 + 2 * 256 + 256
    assert count(VNetSpec(depths=(1, 2, 3, 2))) - (32 * 2 + 2) == monais - before_head - (2 * 2 + 2) + layer


def test_nnunet_is_monais_dynunet_where_kernels_are_alike() -> None:
    strides, kernels = [(1, 1, 1), (1, 2, 2), (2, 2, 2)], [(3, 3, 3)] * 3
    own = NnUNet(3, (4, 6, 8), strides, kernels, num_auxiliary=0).eval()
    monais = DynUNet(
        3, 1, 3, kernels, strides, strides[1:], filters=(4, 6, 8), norm_name=("INSTANCE", {"affine": True}),
        trans_bias=True,
    ).eval()  # fmt: skip
    parts = [monais.input_block, *monais.downsamples, monais.bottleneck]
    for mine, theirs in zip([*own.descent, *own.ascent], [*parts, *monais.upsamples], strict=True):
        theirs.load_state_dict(mine.state_dict())
    monais.output_block.conv.conv.load_state_dict(own.head.state_dict())
    x = torch.randn(1, 1, 8, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(own(x), monais(x))


def test_nnunet_gives_a_decoder_level_the_kernels_of_its_encoder() -> None:
    own = NnUNet(2, (4, 6), [(1, 1, 1), (1, 2, 2)], [(1, 3, 3), (3, 3, 3)], num_auxiliary=0)
    weights = [value for name, value in own.ascent.named_parameters() if "conv_block.conv" in name]
    assert {tuple(weight.shape[2:]) for weight in weights} == {(1, 3, 3)}


def test_segnet_puts_values_back_where_the_maxima_were() -> None:
    network = SegNet3d(2, (3,), (1,)).eval()
    seen: list[torch.Tensor] = []
    network.ascent[0].register_forward_pre_hook(lambda _module, args: seen.append(args[0]))
    x = torch.rand(1, 1, 4, 4, 4)
    with torch.no_grad():
        network(x)
        large = network.descent[0](x)
    pooled, where = torch.nn.functional.max_pool3d(large, 2, return_indices=True)
    assert torch.equal(seen[0], torch.nn.functional.max_unpool3d(pooled, where, [2, 2, 2]))


def test_residual_form_hands_its_input_on() -> None:
    """With the 3x3x3 convolutions at zero a residual network still sees its input; a plain one does not."""
    spread = {}
    for residual in (True, False):
        network = ClassicUNet3d(2, (4, 8), 0, residual=residual).eval()
        with torch.no_grad():
            for weight in network.parameters():
                if weight.shape[2:] == (3, 3, 3):
                    weight.zero_()
            spread[residual] = float(network(torch.randn(1, 1, 4, 4, 4)).std(dim=(2, 3, 4)).max())
    assert spread[True] > 0.01
    assert spread[False] == 0


@pytest.mark.parametrize(
    ("name", "values", "complaint"),
    [
        ("nnunet", {"channels": (4, 8), "num_auxiliary": 0}, "as many levels, not 2, 6 and 6"),
        ("nnunet", {"strides": [(2, 2, 2)] * 6}, r"finest level's stride must be \[1, 1, 1\]"),
        ("segnet3d", {"channels": (4, 8)}, "as many levels, not 2 and 4"),
        ("kiunet3d", {"enlarge": (1, 1, 1)}, "more than 1 along one axis"),
        ("resunet3d", {"channels": (4, 8), "num_auxiliary": 1}, "more than the 0 decoder levels"),
        ("vnet", {"width": 0}, "greater than 0"),
    ],
)
def test_impossible_numbers_are_refused(name: str, values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        SPECS[name].model_validate({"architecture": name, **values})
