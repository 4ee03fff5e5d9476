"""HookNet, MRN and SneakyNet: what they take and give, and that a context reaches the target where it should."""

import pytest
import torch

from osteon.models.network import num_parameters
from osteon.models.view_specs import MultiResolutionSpec

KINDS = ("hooknet", "mrn", "sneakynet")


def spec(architecture: str, contexts: int = 1) -> MultiResolutionSpec:
    return MultiResolutionSpec.model_validate(
        {"architecture": architecture, "channels": (3, 4, 5), "contexts": contexts}
    )


@pytest.mark.parametrize("architecture", KINDS)
@pytest.mark.parametrize("contexts", [1, 2, 3])
def test_one_input_channel_per_view_and_scores_of_the_target(architecture: str, contexts: int) -> None:
    network = spec(architecture, contexts).build(num_classes=4)
    x_BVZYX = torch.randn(2, 1 + contexts, 8, 16, 24)
    assert network(x_BVZYX).shape == (2, 4, 8, 16, 24)
    outputs = network.supervised(x_BVZYX)
    assert torch.equal(outputs[0].logits_BKZYX, network(x_BVZYX))
    assert [output.view for output in outputs] == [0, *(range(1, contexts + 1) if architecture != "mrn" else ())]
    assert {tuple(output.logits_BKZYX.shape) for output in outputs} == {(2, 4, 8, 16, 24)}


@pytest.mark.parametrize("architecture", KINDS)
def test_every_parameter_learns(architecture: str) -> None:
    torch.manual_seed(0)
    network = spec(architecture, contexts=2).build(num_classes=4)
    outputs = network.supervised(torch.randn(2, 3, 16, 16, 16))
    torch.autograd.backward([output.logits_BKZYX.square().mean() for output in outputs])
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]
    assert still == []


@pytest.mark.parametrize("architecture", KINDS)
def test_what_a_context_shows_changes_the_target(architecture: str) -> None:
    torch.manual_seed(0)
    network = spec(architecture).build(num_classes=4).eval()
    x_BVZYX = torch.randn(1, 2, 16, 16, 16)
    other = x_BVZYX.clone()
    other[:, 1] += torch.randn(16, 16, 16)
    assert not torch.allclose(network(x_BVZYX), network(other), atol=1e-3)


def test_crops_lie_over_what_the_target_sees() -> None:
    """A spot in the middle of the context moves the middle of the joined map, not its rim."""
    network = spec("mrn").build(num_classes=2).eval()
    from osteon.models.multiresolution import _central

    ramp = torch.arange(16.0).expand(1, 1, 16, 16, 16)
    assert _central(ramp, 2)[0, 0, 0, 0].tolist() == list(range(4, 12))
    assert _central(ramp, 4)[0, 0, 0, 0].tolist() == list(range(6, 10))
    assert network.stride == (8, 8, 8)


@pytest.mark.parametrize(
    "values", [{"contexts": 0}, {"contexts": 4}, {"channels": (4, 8)}, {"architecture": "unet"}, {"num_auxiliary": 1}]
)
def test_impossible_numbers_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        MultiResolutionSpec.model_validate(values)


def test_more_joined_levels_make_more_parameters() -> None:
    counts = [num_parameters(spec(kind).build(num_classes=4)) for kind in ("hooknet", "sneakynet")]
    assert counts[0] < counts[1]
