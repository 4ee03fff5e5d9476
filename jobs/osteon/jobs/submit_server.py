"""The jobs server of a Ray cluster, as Osteon talks to it: few words, and each failure told in one line."""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import aiohttp
from pydantic import BaseModel, ConfigDict
from ray.dashboard.modules.job.pydantic_models import JobDetails
from ray.job_submission import JobErrorType, JobSubmissionClient
from ray.util.state import list_nodes
from ray.util.state.exception import RayStateApiException

from osteon.core.errors import BadInput, OsteonError
from osteon.jobs.submit_order import Order
from osteon.jobs.submit_reach import ADDRESS, DEFAULT_ADDRESS, check_reachable, told

ABSENCE_S = 180.0  # how long a server may be away while a job is watched: a head is started again in less
RETRY_S = 2.0
STOP_TIMEOUT_S = 60.0
LOST = (JobErrorType.JOB_SUPERVISOR_ACTOR_DIED, JobErrorType.JOB_SUPERVISOR_ACTOR_START_FAILURE)

for chatty in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):  # which set levels of their own
    logging.getLogger(chatty).setLevel(logging.ERROR)


class JobView(BaseModel):
    """A job as the cluster knows it.

    Attributes:
        id: of this attempt.
        name: for people.
        status: Ray's word: PENDING, RUNNING, SUCCEEDED, FAILED or STOPPED.
        command: the command line.
        started_at, ended_at: in UTC; None if it did not.
        exit_code: of the command; None while it runs, or when it was lost.
        message: what is to be said of the status; one line.
        labels: what it was given besides.
        node: id of the node that the command runs on; None as long as it has none.
    """

    model_config = ConfigDict(frozen=True)

    id: str
    name: str
    status: str
    command: str
    started_at: datetime | None
    ended_at: datetime | None
    exit_code: int | None
    message: str
    labels: dict[str, str]
    node: str | None

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes of it."""
        return self.status in ("SUCCEEDED", "FAILED", "STOPPED")


class JobsServer:
    """A jobs server that answered.

    Args:
        client: Ray's.
    """

    def __init__(self, client: JobSubmissionClient) -> None:
        self._client = client

    @classmethod
    def connect(cls, address: str | None = None) -> JobsServer:
        """The server at ``address``, else of ``RAY_API_SERVER_ADDRESS``, else on this machine.

        Raises:
            OsteonError: ``no-jobs-server``, ``no-token``, ``wrong-token``.
        """
        address = address or os.environ.get(ADDRESS) or DEFAULT_ADDRESS
        check_reachable(address)
        os.environ[ADDRESS] = address  # or else Ray would let another one there prevail
        with told(address):
            return cls(JobSubmissionClient(address))

    @property
    def address(self) -> str:
        """Where it is."""
        address: str = self._client.get_address()
        return address

    def submit(self, order: Order, id_: str) -> bool:
        """Hand a job over; whether it was taken: False where somebody was faster with the same id."""
        spec, held = order.spec, order.spec.resources
        with told(self.address), tempfile.TemporaryDirectory(prefix="osteon-job-") as folder:
            try:
                self._client.submit_job(
                    entrypoint=order.entrypoint,
                    submission_id=id_,
                    runtime_env={"env_vars": spec.storage.env} | _with_files(order, Path(folder)),
                    metadata={**spec.labels, "job_name": order.name, "osteon": metadata.version("osteon")},
                    entrypoint_num_cpus=held.cpus or None,
                    entrypoint_num_gpus=held.gpus or None,
                    entrypoint_memory=int(held.memory_gib * 2**30) or None,
                )
            except RuntimeError as error:
                if "already exists" not in str(error):
                    raise
                return False
        return True

    def find(self, id_: str) -> JobView | None:
        """A job, or None if there is none of that id."""
        with told(self.address):
            try:
                return _view(self._client.get_job_info(id_))
            except RuntimeError as error:
                if "status code 404" not in str(error):
                    raise
                return None

    def job(self, id_: str) -> JobView:
        """A job that there should be.

        Raises:
            BadInput: ``no-job``.
        """
        found = self.find(id_)
        if found is None:
            raise BadInput("no-job", "there is no such job", where=id_, remedy="see osteon jobs list")
        return found

    def list(self) -> tuple[JobView, ...]:
        """Every job that was submitted, the newest first."""
        with told(self.address):
            found = [_view(job) for job in self._client.list_jobs() if job.submission_id]
        return tuple(sorted(found, key=lambda job: job.started_at or datetime.max.replace(tzinfo=UTC), reverse=True))

    def logs(self, id_: str) -> str:
        """What a job has printed so far."""
        self.job(id_)
        with told(self.address):
            printed: str = self._client.get_job_logs(id_)
        return printed

    def settled(self, job: JobView) -> JobView:
        """The job, over if its command was lost with its node.

        After the loss of a head Ray itself says RUNNING of such a job until somebody wants it stopped.
        """
        if job.is_over or job.node is None or self._has_node(job.node):
            return job
        return self.stop(job.id)

    def follow(self, id_: str, show: Callable[[str], None]) -> JobView:
        """Show what a job prints until it is over, also while a head is away and comes back; the job as it ended.

        Raises:
            OsteonError: ``watch-lost`` if the server stays away; the job itself may go on.
        """
        printout, heard = _Printout(show), time.monotonic()
        while True:
            failure = self._read(printout, id_)
            if printout.was_reached:
                heard = time.monotonic()
            try:
                if (job := self.settled(self.job(id_))).is_over:
                    if failure is not None:
                        self._read(printout, id_)  # as far as it is still there
                    return job
            except BadInput:
                raise
            except OsteonError as error:
                failure = error
            if failure is not None and time.monotonic() - heard > ABSENCE_S:
                remedy = f"the job may go on without it; osteon jobs logs {id_} --follow shows it again"
                raise OsteonError("watch-lost", "the server stays away", where=self.address, remedy=remedy) from failure
            time.sleep(RETRY_S)

    def _read(self, printout: _Printout, id_: str) -> Exception | None:
        """Show what is new as long as it comes; why it ended before the job, if it did."""
        try:
            asyncio.run(printout.read(self._client, id_))
        except (RuntimeError, aiohttp.ClientError, OSError) as error:
            return error
        return None

    def stop(self, id_: str) -> JobView:
        """Stop a job and wait for its end.

        Raises:
            OsteonError: ``not-stopped`` if it does not end.
        """
        self.job(id_)
        with told(self.address):
            self._client.stop_job(id_)
        until = time.monotonic() + STOP_TIMEOUT_S
        while not (job := self.job(id_)).is_over:
            if time.monotonic() > until:
                raise OsteonError("not-stopped", f"the job is still {job.status}", where=id_, remedy="try it again")
            time.sleep(0.5)
        return job

    def _has_node(self, id_: str) -> bool:
        alive: list[tuple[str, str, str | bool | int | float]] = [("node_id", "=", id_), ("state", "=", "ALIVE")]
        try:
            with told(self.address):  # what a filter leaves out is missing output, too, to Ray 2.60
                return bool(list_nodes(address=self.address, filters=alive, raise_on_missing_output=False))
        except RayStateApiException as error:
            what = "it does not tell its nodes"
            raise OsteonError("jobs-server", what, where=self.address, remedy="see Ray's logs") from error


class _Printout:
    """What a job printed, shown once: a connection that is made anew tells it from the beginning.

    Attributes:
        was_reached: whether the last connection told anything.
    """

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show, self._num_shown, self.was_reached = show, 0, False

    async def read(self, client: JobSubmissionClient, id_: str) -> None:
        """Show what is new until the job or the connection ends."""
        told, self.was_reached = 0, False
        async for text in client.tail_job_logs(id_):
            told, self.was_reached = told + len(text), True
            new = text[max(0, len(text) - max(0, told - self._num_shown)) :]
            self._num_shown = max(self._num_shown, told)
            if new:
                self._show(new)


def _with_files(order: Order, folder: Path) -> dict[str, str]:
    """The part of a runtime environment that brings an order's files; they are put into ``folder`` for it."""
    for path, content in order.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return {"working_dir": str(folder)} if order.files else {}


def _view(job: JobDetails) -> JobView:
    id_ = job.submission_id or job.job_id or ""
    labels = dict(job.metadata or {})
    name = labels.pop("job_name", None)
    for ours in ("osteon", "job_submission_id"):
        labels.pop(ours, None)
    return JobView(
        id=id_,
        name=name or id_,
        status=str(job.status),
        command=job.entrypoint,
        started_at=_time(job.start_time),
        ended_at=_time(job.end_time),
        exit_code=job.driver_exit_code,
        message=_message(job),
        labels=labels,
        node=job.driver_node_id,
    )


def _message(job: JobDetails) -> str:
    if job.driver_node_id is not None and job.error_type in LOST:
        return "its command was lost with its node; osteon submit FILE --again goes on from what was done"
    return (job.message or "").strip().partition("\n")[0]


def _time(milliseconds: int | None) -> datetime | None:
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else None
