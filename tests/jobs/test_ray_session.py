import socket

import pytest

from osteon.core.errors import OsteonError
from osteon.jobs.ray_session import ray_session


def test_a_cluster_that_does_not_answer_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:  # bound, and nobody listens
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(OsteonError) as refused, ray_session():
            pass
    assert refused.value.code == "no-ray"
    assert "RAY_ADDRESS" in str(refused.value)


def test_a_ray_that_starts_too_slowly_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(**_: object) -> None:
        raise Exception("The current node timed out during startup. This could happen because …")  # as Ray does

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", start)
    with pytest.raises(OsteonError, match=r"no-ray.*less busy"), ray_session():
        pass


def test_what_ray_says_is_not_among_a_commands_results(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", lambda **_: print("(raylet) WARNING: hello"))
    monkeypatch.setattr("ray.shutdown", lambda: print("(raylet) WARNING: good-bye"))
    with ray_session():
        pass
    assert capsys.readouterr().out == ""
