from typing import Any

import pytest
import ray

from osteon.core.errors import BadInput
from osteon.jobs.sweep_resources import share_out
from osteon.recipes.sweep import ResourceSpec


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
    hold, parallel = share_out(ResourceSpec.model_validate(spec))
    assert ((hold.workers, hold.cpus, hold.gpus), parallel) == expected


@pytest.mark.parametrize("spec", [{"workers": 3}, {"gpus": 1}, {"cpus": 4}])
def test_a_trial_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch, spec: dict[str, Any]) -> None:
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    with pytest.raises(BadInput) as refused:
        share_out(ResourceSpec.model_validate(spec))
    assert refused.value.code == "too-few-resources"
