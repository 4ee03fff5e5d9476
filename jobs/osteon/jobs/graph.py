"""One graph of tasks computed by whatever scheduler there is, and what its failures mean for the run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

from osteon.core.errors import OsteonError

Graph = dict[str, object]
Get = Callable[[Graph, str], object]  # from a graph and one of its keys to the key's value


class RunEnded(OsteonError):
    """The run cannot go on, whatever the case: the scheduler is gone, or the run is being stopped."""


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
