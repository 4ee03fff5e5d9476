"""Dask graphs on Ray, which can be stopped from another thread.

Ray itself cannot be: whoever still waits for a task, or is about to begin one, while it shuts down ends the process at
once or starts a new Ray. So what was begun is cancelled, and Ray shuts down when nobody is left to ask.
"""

from __future__ import annotations

import threading
from typing import Any

import ray
from ray.util.dask import ray_dask_get
from ray.util.dask.callbacks import RayCallback

from osteon.jobs.graph import Graph, RunEnded


class RayGraphs:
    """Computes graphs until it is stopped; may be called from many threads."""

    def __init__(self) -> None:
        self._begun: dict[str, ray.ObjectRef[Any]] = {}
        self._changing = threading.Lock()
        self._is_stopped = False
        self._watch = RayCallback._make([self._check, self._note, *[None] * 4])  # before a task is begun, and after

    def get(self, graph: Graph, key: str) -> object:
        """The value of a key.

        Raises:
            RunEnded: it is stopped.
            Exception: what a task raised, or that it was cancelled.
        """
        try:
            return ray_dask_get(graph, [key], ray_callbacks=[self._watch])[0]
        finally:
            with self._changing:
                for each in graph:
                    self._begun.pop(each, None)

    def stop(self) -> None:
        """Begin nothing more, and cancel what was begun."""
        with self._changing:
            self._is_stopped = True
            begun = list(self._begun.values())
        for ref in begun:
            ray.cancel(ref, force=True)

    def _check(self, *_: object) -> None:
        if self._is_stopped:
            raise RunEnded("stopped", "the run was stopped", remedy="run the same command again")

    def _note(self, _task: object, key: str, _needs: object, begun: ray.ObjectRef[Any]) -> None:
        with self._changing:
            self._begun[key] = begun
            is_late = self._is_stopped
        if is_late:
            ray.cancel(begun, force=True)
