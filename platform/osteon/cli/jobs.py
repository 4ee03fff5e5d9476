"""`osteon jobs`: what runs on a Ray cluster, what it prints, and how to end it."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from osteon.core.errors import OsteonError

if TYPE_CHECKING:
    from osteon.jobs.submit_server import JobsServer, JobView

Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="URL",
        help="The cluster's jobs server; RAY_API_SERVER_ADDRESS, or else http://127.0.0.1:8265, if not given.",
    ),
]
JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id, as osteon jobs list shows it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]

jobs = typer.Typer(help="Jobs of a Ray cluster.", no_args_is_help=True)


@jobs.command("list")
def list_jobs(address: Address = None, as_json: AsJson = False) -> None:
    """List the jobs of a cluster, the newest first."""
    found = connect(address).list()
    if as_json:
        print(json.dumps([job.model_dump(mode="json") for job in found]))
        return
    for job in found:
        begun = f"{job.started_at.astimezone():%Y-%m-%d %H:%M}" if job.started_at else "-"
        print(f"{job.id:28} {job.status:10} {begun:16} {_duration(job):>9}  {job.name}")


@jobs.command()
def show(id_: JobId, address: Address = None, as_json: AsJson = False) -> None:
    """Say how a job stands."""
    job = connect(address).job(id_)
    if as_json:
        print(job.model_dump_json())
        return
    print(ending(job) if job.is_over else f"{job.id} is {job.status} for {_duration(job)}")
    print(job.command)
    print(" ".join(f"{name}={value}" for name, value in {"name": job.name, **job.labels}.items()))


@jobs.command()
def logs(
    id_: JobId,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on until it is over; the exit code is the job's.")
    ] = False,
    address: Address = None,
) -> None:
    """Print what a job printed."""
    server = connect(address)
    if follow:
        raise typer.Exit(exit_code_of(watch_job(server, id_, sys.stdout)))
    print(server.logs(id_), end="")


@jobs.command()
def stop(id_: JobId, address: Address = None, as_json: AsJson = False) -> None:
    """Stop a job; what it has done so far is kept, and submitting it again goes on from there."""
    job = connect(address).stop(id_)
    print(job.model_dump_json() if as_json else ending(job))


def connect(address: str | None) -> JobsServer:
    """The jobs server at ``address``, or where the environment says.

    Raises:
        OsteonError: ``not-installed``, and what `JobsServer.connect` refuses.
    """
    try:
        from osteon.jobs.submit_server import JobsServer
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("osteon"):
            raise
        remedy = "install it: pip install 'osteon[serve]'"
        raise OsteonError("not-installed", f"jobs of a cluster need {error.name}", remedy=remedy) from None
    return JobsServer.connect(address)


def watch_job(server: JobsServer, id_: str, out: TextIO) -> JobView:
    """Print what a job prints until it is over; Ctrl-C ends only this."""

    def put(text: str) -> None:
        out.write(text)
        out.flush()

    try:
        job = server.follow(server.job(id_).id, put)
    except KeyboardInterrupt:
        print(f"osteon: the job goes on; osteon jobs stop {id_} would end it", file=sys.stderr)
        raise
    print(f"osteon: {ending(job)}", file=sys.stderr)
    return job


def ending(job: JobView) -> str:
    """How a job ended, in one line."""
    code = f" with exit code {job.exit_code}" if job.exit_code else ""
    why = f": {job.message}" if job.status == "FAILED" and job.exit_code is None else ""
    return f"{job.id} {job.status} after {_duration(job)}{code}{why}"


def exit_code_of(job: JobView) -> int:
    """0 as long as nothing went wrong; else the job's own, 1 if it has none."""
    if not job.is_over or job.status == "SUCCEEDED":
        return 0
    return job.exit_code if job.exit_code is not None and job.exit_code > 0 else 1


def _duration(job: JobView) -> str:
    if job.started_at is None:
        return "-"
    seconds = int(((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
