"""One graph of tasks computed by whatever scheduler there is, and what its failures mean for the run."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError

from osteon.core.errors import OsteonError

Graph = dict[str, object]
Get = Callable[[Graph, str], object]  # from a graph and one of its keys to the key's value


class RunEnded(OsteonError):
    """The run cannot go on, whatever the case: the scheduler is gone, or the run is being stopped."""


def compute_case(
    get: Get,
    case: object,
    num_rows: int,
    write_row: Callable[..., object],
    commit: Callable[..., object],
    stopping: threading.Event,
) -> object:
    """What ``commit`` gives for a case and the receipts of its rows, each written by a task of its own.

    Raises:
        RunEnded: as `compute`.
        OsteonError: as `compute`.
    """
    token = uuid.uuid4().hex  # keys are global to a scheduler
    rows = [f"row-{number}-{token}" for number in range(num_rows)]
    graph: Graph = {f"case-{token}": case}
    graph |= {key: (write_row, f"case-{token}", number) for number, key in enumerate(rows)}
    graph[f"commit-{token}"] = (commit, f"case-{token}", rows)
    return compute(get, graph, f"commit-{token}", stopping)


def compute_task(get: Get, task: Callable[..., object], argument: object, stopping: threading.Event) -> object:
    """What a single task gives.

    Raises:
        RunEnded: as `compute`.
        OsteonError: as `compute`.
    """
    key = f"{task.__name__}-{uuid.uuid4().hex}"
    return compute(get, {key: (task, argument)}, key, stopping)


def compute(get: Get, graph: Graph, key: str, stopping: threading.Event) -> object:
    """The value of a key; refusals that tasks gave back are raised here.

    Raises:
        RunEnded: the scheduler is gone, or ``stopping`` is set.
        OsteonError: ``worker-lost``, or what the task refused with.
    """
    try:
        value = get(graph, key)
    except CancelledError as error:
        raise RunEnded("scheduler-lost", "the scheduler is gone", remedy="run the same command again") from error
    except Exception as error:  # each scheduler has its own way to say that a worker died
        if stopping.is_set():
            raise RunEnded("stopped", "the run was stopped", remedy="run the same command again") from error
        raise OsteonError(
            "worker-lost",
            f"the worker process ended again and again ({type(error).__name__})",
            remedy="give workers more memory, or look into their logs",
        ) from error
    if isinstance(value, OsteonError):
        raise value
    return value
