import os

import pytest

from osteon.core.errors import BadInput, StoreError
from osteon.storage.patience import VARIABLE, patience, patiently


class Away:
    """A store that is back when it was asked three times."""

    def __init__(self, code: str) -> None:
        self.error, self.asked = StoreError(code, "no answer"), 0

    def ask(self, key: str) -> str:
        self.asked += 1
        if self.asked < 3:
            raise self.error
        return key


@pytest.mark.parametrize("code", ["store-unreachable", "store-busy"])
def test_a_job_asks_again_and_a_person_is_told_at_once(code: str) -> None:
    store = Away(code)
    with pytest.raises(StoreError):
        patiently(store.ask)("a")
    assert store.asked == 1
    with patience():
        assert patiently(store.ask)("a") == "a"
    assert store.asked == 3


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(0, 10_000, 100))
    monkeypatch.setattr("osteon.storage.patience.time.monotonic", lambda: next(now))
    store = Away("store-busy")
    store.asked = -100
    with patience(), pytest.raises(StoreError, match="store-busy"):
        patiently(store.ask)("a")
    assert store.asked == -100 + 3  # the clock says 100 s each time it is asked


def test_what_does_not_pass_is_told_at_once() -> None:
    store = Away("store-denied")
    with patience(), pytest.raises(StoreError, match="store-denied"):
        patiently(store.ask)("a")
    assert store.asked == 1


def test_it_holds_for_what_is_started_meanwhile_and_is_over_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with patience():
        assert float(os.environ[VARIABLE]) > 60
        with patience():
            pass
        assert VARIABLE in os.environ
    assert VARIABLE not in os.environ


def test_what_is_no_number_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a while")
    with pytest.raises(BadInput, match=rf"'a while'.*{VARIABLE}|{VARIABLE}.*'a while'"):
        patiently(Away("store-busy").ask)("a")
