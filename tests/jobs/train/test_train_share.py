"""What a training run asks of Ray; that workers hold it, tests/jobs/test_waiting.py sees on a cluster."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from osteon.cli.main import app
from osteon.core.errors import BadInput, OsteonError
from osteon.jobs import train, train_fit, train_share
from osteon.jobs.train_share import Share
from osteon.storage.dataset import Dataset


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """What the nodes of a Ray have; nothing at first."""
    there: list[dict[str, float]] = []
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": each} for each in there])
    monkeypatch.setattr("ray.cluster_resources", lambda: {"GPU": sum(each.get("GPU", 0) for each in there)})
    return there


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (Share(), (16, 1.0)),
        (Share(2), (8, 1.0)),
        (Share(5), (4, 1.0)),
        (Share((1, 24)), (1, 1.0)),
        (Share(2, cpus=3), (3, 1.0)),
        (Share(2, gpus=0.5), (8, 0.5)),
        (Share(2, gpus=0), (8, 0.0)),
    ],
)
def test_what_is_left_open_is_an_even_share(
    nodes: list[dict[str, float]], share: Share, expected: tuple[int, float]
) -> None:
    nodes += [{}, {"CPU": 8, "GPU": 1}, {"CPU": 16}]
    assert share.per_worker() == expected


def test_more_workers_than_processors_are_refused_here_and_waited_for_on_a_cluster(
    nodes: list[dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes += [{"CPU": 2}]
    with pytest.raises(BadInput, match="3 workers on 2 processors"):
        Share(3).per_worker()
    awaited: list[Any] = []
    monkeypatch.setattr(train_share, "await_room", awaited.extend)
    monkeypatch.setenv("RAY_ADDRESS", "far.away:6379")
    share = Share((3, 8), gpus=1)
    share.await_room()
    assert awaited == [{"CPU": 1, "GPU": 1}] * 3
    assert share.per_worker() == (1, 1)


def test_what_the_command_asks_for_is_what_ray_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, recipe: str, dataset: Dataset, tmp_path: Path
) -> None:
    asked: list[dict[str, Any]] = []

    class Trainer:
        def __init__(self, *_: object, **settings: Any) -> None:
            asked.append(settings)

        def fit(self) -> object:
            return SimpleNamespace(return_value=OsteonError("enough", "seen enough"))

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(train, "ray_session", nullcontext)
    monkeypatch.setattr(train_fit, "TorchTrainer", Trainer)
    words = ["train", recipe, "--data", dataset.url, "--out", str(tmp_path), "--workers", "2:4"]
    done = CliRunner().invoke(app, [*words, "--cpus", "3", "--gpus", "0.5"])
    assert isinstance(done.exception, OsteonError), "what a worker gives back is raised"
    [settings] = asked
    scaling = settings["scaling_config"]
    assert scaling.num_workers == (2, 4)
    assert scaling.use_gpu
    assert scaling.resources_per_worker == {"CPU": 3, "GPU": 0.5}
