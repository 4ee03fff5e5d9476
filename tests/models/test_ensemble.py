"""Members side by side give what each of them gives alone."""

from typing import Any

import pytest
import torch
from tiny_networks import TINY

from osteon.models.build import EnsembleSpec
from osteon.models.ensemble import Ensemble

K = 3


def spec(architecture: str, members: int = 3) -> EnsembleSpec:
    member: dict[str, Any] = {"architecture": architecture, **TINY[architecture]}
    return EnsembleSpec.model_validate({"members": members, "member": member})


def ensemble(architecture: str, members: int = 3) -> Ensemble:
    torch.manual_seed(3)
    return spec(architecture, members).build(K).eval()


@pytest.mark.parametrize("architecture", ["unet3d", "segnet3d", "fcn8", "sneakynet", "multiaxial"])
def test_scores_are_the_members_own_one_after_the_other(architecture: str) -> None:
    network = ensemble(architecture)
    z, y, x = (2 * step for step in spec(architecture).stride)
    batch = torch.randn(1, 1 + spec(architecture).num_contexts, z, y, x)
    with torch.no_grad():
        alone = [member.scores(batch) for member in network.members]  # type: ignore[operator]  # a list of modules
        found, of_features = network.scores(batch), network.head(network.features(batch))
    assert (alone[0] - alone[1]).abs().max() > 0.01
    torch.testing.assert_close(found, torch.cat(alone, dim=1))
    torch.testing.assert_close(of_features, found, rtol=1e-3, atol=1e-3)


def test_spec_is_the_members_but_for_their_number() -> None:
    of_two, own = spec("sneakynet", 2), spec("sneakynet", 2).member
    assert (of_two.stride, of_two.num_contexts) == (own.stride, own.num_contexts)
    with pytest.raises(ValueError, match="multiples of"):
        of_two.check_shape((7, 7, 7))
    with pytest.raises(ValueError, match="greater than 0"):
        spec("unet3d", 0)


@pytest.mark.parametrize(
    ("architecture", "voters", "fusion"), [("unet3d", 2, "probability"), ("multiaxial", 6, "vote")]
)
def test_probabilities_are_averaged_and_members_that_vote_all_vote(architecture: str, voters: int, fusion: str) -> None:
    network = ensemble(architecture, 2)
    assert (network.num_voters, network.fusion) == (voters, fusion)


def test_an_ensemble_of_ensembles_is_one_of_all_their_members() -> None:
    torch.manual_seed(3)
    network = EnsembleSpec(members=2, member=spec("unet3d")).build(K).eval()
    batch = torch.randn(1, 1, 8, 8, 8)
    assert (network.num_voters, network.fusion) == (6, "probability")
    with torch.no_grad():
        torch.testing.assert_close(network.head(network.features(batch)), network.scores(batch))
