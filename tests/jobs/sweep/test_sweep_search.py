import sys

import pytest

from osteon.core.errors import BadInput
from osteon.jobs.sweep_search import ListedProposals, TpeProposals, proposals_of
from osteon.recipes.space import Configuration
from osteon.recipes.sweep import SweepSpec

SPEC = SweepSpec.model_validate(
    {
        "name": "s",
        "recipe": "unet3d",
        "space": {
            "rate": {"uniform": [0, 1]},
            "patch": {"named": {"small": {"a": 1}, "large": {"a": 2}}},
            "shape": [[1, 2], [3, 4]],
        },
        "search": {"method": "tpe", "samples": 25, "seed": 1},
    }
)


def score(configuration: Configuration) -> float:
    """Best at a rate of 0.8 and a large patch."""
    rate: float = configuration.values["rate"]
    return bool(configuration.values["patch"] == "large") - abs(rate - 0.8)


def run(kept: list[Configuration], spec: SweepSpec = SPEC) -> list[Configuration]:
    proposals = TpeProposals(spec, kept)
    found: list[Configuration] = []
    while (configuration := proposals.next()) is not None:
        found.append(configuration)
        proposals.tell(configuration, score(configuration))
    return found


def test_tpe_learns_from_the_means() -> None:
    found = run([])
    assert [each.id for each in found] == [f"c{number:03d}" for number in range(25)]
    early, late = ([score(each) for each in part] for part in (found[:10], found[-10:]))
    assert sum(late) > sum(early)
    assert all(each.settings["a"] == (2 if each.values["patch"] == "large" else 1) for each in found)


def test_tpe_goes_on_with_what_was_proposed_before() -> None:
    whole = run([])
    again = run(whole[:12])
    assert again[:12] == whole[:12]
    assert len(again) == 25
    late = [score(each) for each in again[-10:]]
    assert sum(late) > sum(score(each) for each in again[:10])  # it has learnt from those


def test_tpe_takes_a_configuration_that_failed() -> None:
    proposals = TpeProposals(SPEC, [])
    first = proposals.next()
    assert first is not None
    proposals.tell(first, None)
    assert proposals.next() is not None


def test_configurations_that_are_known_come_as_listed() -> None:
    spec = SPEC.model_copy(update={"search": SPEC.search.model_copy(update={"method": "random", "samples": 2})})
    proposals = proposals_of(spec, [])
    assert isinstance(proposals, ListedProposals)
    found = []
    while (configuration := proposals.next()) is not None:
        found.append(configuration)
    assert [each.id for each in found] == [f"c{number:03d}" for number in range(8)]  # two draws of two by two


def test_optuna_is_asked_for_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(BadInput) as refused:
        proposals_of(SPEC, [])
    assert refused.value.code == "no-optuna"
