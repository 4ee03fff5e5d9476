import socket

import pytest

from osteon.core.errors import OsteonError
from osteon.jobs.ray_session import STARTS, ray_session


def test_a_cluster_that_does_not_answer_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:  # bound, and nobody listens
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(OsteonError) as refused, ray_session():
            pass
    assert refused.value.code == "no-ray"
    assert "RAY_ADDRESS" in str(refused.value)


@pytest.mark.parametrize("slow_starts", [0, STARTS - 1, STARTS])
def test_a_ray_that_starts_slowly_is_started_again(monkeypatch: pytest.MonkeyPatch, slow_starts: int) -> None:
    tries: list[object] = []

    def start(**settings: object) -> None:
        tries.append(settings)
        if len(tries) <= slow_starts:
            raise Exception("The current node timed out during startup. This could happen because …")  # as Ray does

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", start)
    if slow_starts == STARTS:
        with pytest.raises(OsteonError, match="no-ray"), ray_session():
            pass
    else:
        with ray_session():
            assert len(tries) == slow_starts + 1
