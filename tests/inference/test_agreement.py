from collections.abc import Callable

import pytest
import torch
from torch import nn

from osteon.inference.agreement import BackendDisagrees, check_agreement, probe_patch

NetOf = Callable[..., nn.Module]


def test_the_probe_is_the_same_every_time() -> None:
    torch.testing.assert_close(probe_patch((8, 16, 4)), probe_patch((8, 16, 4)), rtol=0, atol=0)
    assert probe_patch((8, 16, 4)).shape == (1, 1, 8, 16, 4)


def test_the_share_of_equal_labels_is_counted(tiny_net: NetOf) -> None:
    network, patch = tiny_net(), probe_patch((8, 8, 8))
    with torch.inference_mode():
        logits = network(patch)
        assert check_agreement("same", network, logits, patch) == 1.0
        changed = logits.clone()
        changed[0, :, 0, 0, 0] = changed[0, :, 0, 0, 0].flip(0)
        assert check_agreement("one off", network, changed, patch) == 1 - 1 / 512


def test_other_labels_are_refused(tiny_net: NetOf) -> None:
    patch = probe_patch((8, 8, 8))
    with torch.inference_mode():
        flipped = tiny_net()(patch.flip(-1))
    with pytest.raises(BackendDisagrees, match="backend-disagrees"):
        check_agreement("flipped", tiny_net(), flipped, patch)


def test_wrong_scores_are_refused_even_if_all_is_background(tiny_net: NetOf) -> None:
    network, patch = tiny_net(), probe_patch((8, 8, 8))
    with torch.no_grad():
        network.get_parameter("head.bias")[0] = 100.0
        wrong = network(patch.flip(-1))
        assert (wrong.argmax(1) == network(patch).argmax(1)).all()
    with pytest.raises(BackendDisagrees, match="backend-disagrees"):
        check_agreement("flipped", network, wrong, patch)
