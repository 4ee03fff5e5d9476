from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from osteon.inference.agreement import BackendDisagrees, measure_agreement, probe_patch
from osteon.inference.backends import Output

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


def test_wrong_scores_are_refused_even_if_all_is_background(tiny_net: NetOf) -> None:
    network = tiny_net()
    with torch.no_grad():
        network.get_parameter("head.bias")[0] = 100.0
        assert not network(probe_patch(SHAPE)).argmax(1).any()
    with pytest.raises(BackendDisagrees, match=r"100\.0% of the labels"):
        measure_agreement("flipped", network, lambda batch, output: computed(network)(batch.flip(-1), output), SHAPE)


def computed(network: Any) -> Callable[[Tensor, Output], Tensor]:
    return lambda batch, output: network(batch) if output == "logits" else network.features(batch)
