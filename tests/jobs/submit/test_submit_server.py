"""Watching a job while its server comes and goes, on a clock of the test's own; a real one is in tests/jobs/cluster."""

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.job_submission import JobErrorType, JobStatus

from osteon.core.errors import OsteonError
from osteon.jobs.submit_server import ABSENCE_S, JobsServer


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Reached:
    """A jobs server that is reached until a time and again from another one on, for a job that ends at ``ends_at``."""

    def __init__(self, clock: Clock, lost_at: float, back_at: float, ends_at: float, **ending: Any) -> None:
        self._clock, self._ending = clock, ending
        self._lost_at, self._back_at, self._ends_at = lost_at, back_at, ends_at

    def get_address(self) -> str:
        return "http://head:8265"

    async def tail_job_logs(self, _: str) -> AsyncIterator[str]:
        self._check()
        yield "first\n"
        if self._clock.now < self._lost_at < self._ends_at:
            self._clock.now = self._lost_at
            raise RuntimeError("WebSocket connection closed unexpectedly with close code 1006")
        self._clock.now = max(self._clock.now, self._ends_at)
        yield "last\n"

    def get_job_info(self, id_: str) -> JobDetails:
        self._check()
        ended = self._clock.now >= self._ends_at
        ending = {"status": JobStatus.SUCCEEDED, **self._ending} if ended else {"status": JobStatus.RUNNING}
        return JobDetails(type="SUBMISSION", submission_id=id_, entrypoint="osteon train", **ending)

    def _check(self) -> None:
        if self._lost_at <= self._clock.now < self._back_at:
            raise ConnectionError("nobody answers")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The one that the server's time is read from."""
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    monkeypatch.setattr(time, "sleep", clock.pass_by)
    return clock


def server(client: Any) -> JobsServer:
    """The server behind a client, of which a `Reached` is as much as is asked here."""
    return JobsServer(client)


def follow(client: Reached) -> tuple[str, str]:
    """How a job ended, and what was shown of it."""
    shown: list[str] = []
    job = server(client).follow("train-0", shown.append)
    return job.status, "".join(shown)


def test_an_absence_counts_from_its_begin_however_long_the_job_was_watched(clock: Clock) -> None:
    lost_at = 10 * ABSENCE_S
    reached = Reached(clock, lost_at, lost_at + 0.9 * ABSENCE_S, ends_at=20 * ABSENCE_S)
    assert follow(reached) == ("SUCCEEDED", "first\nlast\n")


def test_a_server_that_stays_away_is_given_up(clock: Clock) -> None:
    with pytest.raises(OsteonError, match="stays away") as refused:
        follow(Reached(clock, 100.0, 10 * ABSENCE_S, ends_at=1000.0))
    assert refused.value.code == "watch-lost"
    assert ABSENCE_S < clock.now - 100 < 1.1 * ABSENCE_S


def test_a_command_that_was_lost_is_told_with_what_to_do(clock: Clock) -> None:
    lost = {"status": JobStatus.FAILED, "driver_node_id": "ab", "error_type": JobErrorType.JOB_SUPERVISOR_ACTOR_DIED}
    job = server(Reached(clock, 1.0, 1.0, ends_at=0.0, **lost, message="...")).job("train-0")
    assert job.message.endswith("osteon submit FILE --again goes on from what was done")
