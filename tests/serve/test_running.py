from collections.abc import Callable
from pathlib import Path

import pytest

from osteon.core.errors import OsteonError
from osteon.serve import running
from osteon.serve.settings import ServeSettings

Calls = list[str]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What Ray Serve is asked to do, without Ray."""
    made: Calls = []
    monkeypatch.setattr("ray.serve.start", lambda **_: made.append("start"))
    monkeypatch.setattr("ray.serve.shutdown", lambda: made.append("shutdown"))
    return made


def test_files_of_the_settings_are_found_in_every_process(
    settings: ServeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    guard = settings.guard.model_validate({"auth": {"keys": "keys.yaml"}})
    sources = settings.sources.model_validate({"tokens": {"https://pacs/web": "token"}})
    told = running.absolute(settings.model_copy(update={"guard": guard, "sources": sources}))
    assert told.guard.auth.keys == tmp_path / "keys.yaml"
    assert told.sources.tokens == {"https://pacs/web": tmp_path / "token"}


def failing(error: BaseException) -> Callable[..., None]:
    def run(*_: object, **__: object) -> None:
        raise error

    return run


def test_an_interrupt_while_replicas_start_leaves_nothing_behind(
    settings: ServeSettings, calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.serve.run", failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt), running.serving(settings, "127.0.0.1", 1):
        raise AssertionError("it is not at work")
    assert calls == ["start", "shutdown"]


@pytest.mark.parametrize(("said", "told"), [("no room\nTraceback", "no room"), ("", "RuntimeError")])
def test_a_start_that_fails_is_told_in_one_line(
    settings: ServeSettings, calls: Calls, monkeypatch: pytest.MonkeyPatch, said: str, told: str
) -> None:
    monkeypatch.setattr("ray.serve.run", failing(RuntimeError(said)))
    with pytest.raises(OsteonError) as refusal, running.serving(settings, "127.0.0.1", 1):
        raise AssertionError("it is not at work")
    assert (refusal.value.code, refusal.value.what) == ("serve-failed", told)
    assert calls == ["start", "shutdown"]
