"""`osteon submit`: any of the long commands as a job of a Ray cluster, from a file, at most once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from osteon.cli.jobs import Address, connect, ending, exit_code_of, watch_job
from osteon.cli.submit_words import cluster_words, local_words

if TYPE_CHECKING:
    from osteon.jobs.submit import Submission
    from osteon.jobs.submit_order import Order
    from osteon.jobs.submit_spec import JobSpec


def submit(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="JOB", help="YAML file that describes the job.")],
    address: Address = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show what it prints until it is over; the exit code is the job's.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Once more, if the same work was done or has failed before.")
    ] = False,
    local: Annotated[bool, typer.Option("--local", help="Run it here and now, without a cluster.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check it, say what would be run, submit nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print how the job stands as JSON.")] = False,
) -> None:
    """Run a job on a Ray cluster: ingest, prepare, train, sweep, predict, evaluate or synthesise.

    The same work is never under way twice: submitted a second time it is only looked at. Ctrl-C ends watching, not
    the job. Exit code: the job's own, as far as it has ended; 0 until then.
    """
    from osteon.jobs.submit_spec import load_job

    spec = load_job(file)
    root = context.find_root().command
    assert isinstance(root, TyperGroup)
    if local:
        _run_here(root, spec, dry_run=dry_run, as_json=as_json)
        return
    line = cluster_words(root, spec.job, spec.arguments)
    order = _order(spec, line.words, line.files)
    if dry_run:
        _print_order(order, as_json)
    else:
        _hand_over(order, address, again=again, watch=watch, as_json=as_json)


def _run_here(root: TyperGroup, spec: JobSpec, *, dry_run: bool, as_json: bool) -> None:
    words = local_words(root, spec.job, spec.arguments)
    if dry_run:
        _print_order(_order(spec, words, {}), as_json)
        return
    os.environ.update(spec.storage.env)
    root.main(list(words))  # raises SystemExit with its exit code


def _order(spec: JobSpec, words: tuple[str, ...], files: Mapping[str, bytes]) -> Order:
    from osteon.jobs.submit_order import Order

    return Order(spec, words, files)


def _hand_over(order: Order, address: str | None, *, again: bool, watch: bool, as_json: bool) -> None:
    server = connect(address)
    from osteon.jobs.submit import submit as hand_over

    submission = hand_over(order, server, again=again)
    job = submission.job
    if not as_json:
        print(_sentence(submission), flush=True)
    if watch:
        job = watch_job(server, job.id, sys.stderr if as_json else sys.stdout)
    if as_json:
        print(json.dumps({"standing": submission.standing, **job.model_dump(mode="json")}))
    raise typer.Exit(exit_code_of(job))


def _sentence(submission: Submission) -> str:
    job = submission.job
    if submission.standing == "submitted":
        return f"{job.id} submitted; osteon jobs logs {job.id} --follow shows what it does"
    if submission.standing == "running":
        return f"{job.id} is {job.status} already: nothing was submitted"
    return f"{ending(job)}: nothing was submitted; --again runs it once more"


def _print_order(order: Order, as_json: bool) -> None:
    spec = order.spec
    if as_json:
        plan = {"id": order.id, "entrypoint": order.entrypoint, "files": sorted(order.files), "env": spec.storage.env}
        print(json.dumps({**plan, "name": order.name, **spec.model_dump(include={"resources", "labels"})}))
        return
    environment = " ".join(f"{name}={value}" for name, value in spec.storage.env.items())
    held = ", ".join(f"{value:g} {name}" for name, value in spec.resources if value)
    print(f"{order.id}: {order.entrypoint}")
    print(f"goes along: {', '.join(sorted(order.files)) or 'nothing'}")
    print(f"environment: {environment or 'that of the cluster'}")
    print(f"held by the command itself: {held or 'nothing; it runs on the head'}")
