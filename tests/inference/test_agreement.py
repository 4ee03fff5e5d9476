from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from osteon.inference.agreement import BackendDisagrees, measure_agreement, probe_patch
from osteon.inference.backends import Head, Output
from osteon.models.build import EnsembleSpec
from osteon.models.volume_specs import UNet3dSpec

NetOf = Callable[..., nn.Module]
SHAPE = (16, 16, 16)


def test_the_probe_is_the_same_every_time() -> None:
    torch.testing.assert_close(probe_patch((8, 16, 4)), probe_patch((8, 16, 4)), rtol=0, atol=0)
    assert probe_patch((8, 16, 4)).shape == (1, 1, 8, 16, 4)


@pytest.mark.parametrize("num_classes", [3, 9])  # logits are compared, then features
def test_the_share_of_equal_labels_is_counted(tiny_net: NetOf, num_classes: int) -> None:
    network = tiny_net(4, num_classes)

    def wrong_at_one_voxel(batch: Tensor, output: Output) -> Tensor:
        found = computed(network)(batch, output)
        found[0, :, 0, 0, 0] = -found[0, :, 0, 0, 0]
        return found

    assert measure_agreement("same", network, computed(network), SHAPE) == 1.0
    assert measure_agreement("one off", network, wrong_at_one_voxel, SHAPE) == 1 - 1 / 4096


def test_other_labels_are_refused(tiny_net: NetOf) -> None:
    network = tiny_net()
    with pytest.raises(BackendDisagrees, match="backend-disagrees"):
        measure_agreement("flipped", network, lambda batch, output: computed(network)(batch.flip(-1), output), SHAPE)


@pytest.mark.parametrize("channels", [(6, 8), (2, 4)])  # logits are compared, then features
def test_of_an_ensemble_the_labels_of_all_together_are_counted(channels: tuple[int, int]) -> None:
    torch.manual_seed(0)
    member = UNet3dSpec(channels=channels, num_auxiliary=0)
    network: Any = EnsembleSpec(members=3, member=member).build(4).eval()
    share = len(Head.of(network).weight) // 3 if channels[0] == 6 else channels[0]  # channels of one member

    def first_member_in_half(batch: Tensor, output: Output) -> Tensor:
        found: Tensor = network.scores(batch) if output == "logits" else network.features(batch)
        found[:, :share] = (16 * found[:, :share]).round() / 16
        return found

    patch = probe_patch(SHAPE)
    with torch.inference_mode():
        alike = measure_agreement("rough", network, first_member_in_half, SHAPE)
        exact = network.scores(patch)
        rough = first_member_in_half(patch, "logits" if channels[0] == 6 else "features")
        rough = rough if channels[0] == 6 else network.head(rough)
    labels = [each.reshape(3, 4, -1).softmax(1).mean(0).argmax(0) for each in (rough, exact)]
    assert alike == pytest.approx(float((labels[0] == labels[1]).float().mean()), abs=1e-6)
    assert alike < 1


def test_one_broken_member_of_an_ensemble_is_noticed_though_the_others_outweigh_it() -> None:
    torch.manual_seed(0)
    network: Any = EnsembleSpec(members=9, member=UNet3dSpec(channels=(6, 8), num_auxiliary=0)).build(2).eval()

    def broken(batch: Tensor, output: Output) -> Tensor:
        assert output == "logits"
        found: Tensor = network.scores(batch)
        found[:, :2] = found[:, :2].flip(-1)
        return found

    with pytest.raises(BackendDisagrees, match=r"9\d\.\d% of the labels"):
        measure_agreement("broken", network, broken, SHAPE)


def test_wrong_scores_are_refused_even_if_all_is_background(tiny_net: NetOf) -> None:
    network = tiny_net()
    with torch.no_grad():
        network.get_parameter("head.bias")[0] = 100.0
        assert not network(probe_patch(SHAPE)).argmax(1).any()
    with pytest.raises(BackendDisagrees, match=r"100\.0% of the labels"):
        measure_agreement("flipped", network, lambda batch, output: computed(network)(batch.flip(-1), output), SHAPE)


def computed(network: Any) -> Callable[[Tensor, Output], Tensor]:
    return lambda batch, output: network(batch) if output == "logits" else network.features(batch)
