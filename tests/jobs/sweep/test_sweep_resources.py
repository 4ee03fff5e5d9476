from typing import Any

import pytest
import ray

from osteon.core.errors import BadInput
from osteon.jobs import sweep_resources
from osteon.jobs.sweep_resources import hold_of, num_parallel
from osteon.recipes.sweep import ResourceSpec


@pytest.fixture(autouse=True)
def _on_one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("there", "spec", "expected"),
    [
        ({"CPU": 2}, {}, ((1, 1, 0), 2)),
        ({"CPU": 8}, {"cpus": 3}, ((1, 3, 0), 2)),
        ({"CPU": 8}, {"parallel": 3}, ((1, 1, 0), 3)),
        ({"CPU": 8}, {"parallel": 30}, ((1, 1, 0), 8)),
        ({"CPU": 8}, {"workers": 4}, ((4, 1, 0), 2)),
        ({"CPU": 16, "GPU": 4}, {}, ((1, 4, 1), 4)),
        ({"CPU": 16, "GPU": 4}, {"gpus": 0.5}, ((1, 2, 0.5), 8)),
        ({"CPU": 16, "GPU": 4}, {"workers": 2}, ((2, 4, 1), 2)),
        ({"CPU": 16, "GPU": 4}, {"gpus": 0}, ((1, 1, 0), 16)),
    ],
)
def test_trials_share_what_is_there(
    monkeypatch: pytest.MonkeyPatch, there: dict[str, float], spec: dict[str, Any], expected: tuple[Any, int]
) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: there)
    asked = ResourceSpec.model_validate(spec)
    hold = hold_of(asked)
    assert ((hold.workers, hold.cpus, hold.gpus), num_parallel(asked, hold)) == expected


@pytest.mark.parametrize("spec", [{"workers": 3}, {"gpus": 1}, {"cpus": 4}])
def test_a_trial_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(BadInput) as refused:
        hold_of(ResourceSpec.model_validate(spec))
    assert refused.value.code == "too-few-resources"


class Growing:
    """A cluster that adds a node with a GPU as soon as something is waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.nodes, self.awaited = 0, list[Any]()
        monkeypatch.setenv("RAY_ADDRESS", "far.away:6379")
        monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8.0 * self.nodes, "GPU": 1.0 * self.nodes})
        monkeypatch.setattr(sweep_resources, "await_room", self.await_room)

    def await_room(self, bundles: list[Any]) -> None:
        self.awaited += bundles
        self.nodes = max(1, self.nodes)


def test_a_cluster_without_nodes_is_waited_for_and_what_has_come_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Growing(monkeypatch)
    hold = hold_of(ResourceSpec())
    assert cluster.awaited == [{"CPU": 1}, {"CPU": 8, "GPU": 1.0}]
    assert (hold.cpus, hold.gpus) == (8, 1)


@pytest.mark.parametrize(
    ("parallel", "by_nodes"),
    [
        (None, [1, 1, 2, 5]),  # as many as fit, at least one
        (3, [3, 3, 3, 3]),  # those that wait are what makes the cluster grow
    ],
)
def test_as_many_trials_run_as_fit_on_the_nodes_that_have_come(
    monkeypatch: pytest.MonkeyPatch, parallel: int | None, by_nodes: list[int]
) -> None:
    cluster, spec = Growing(monkeypatch), ResourceSpec(parallel=parallel)
    hold, found = hold_of(spec), []
    for cluster.nodes in (0, 1, 2, 5):
        found.append(num_parallel(spec, hold))
    assert found == by_nodes
