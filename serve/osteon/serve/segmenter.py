"""A replica that segments: keeps models in memory and does the steps it is given, one at a time.

Steps run in a thread and tell of their progress as they go; volumes never pass through Ray, only these few words do.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from osteon.core.errors import OsteonError
from osteon.recipes.bundle import load_bundle, segmenter_of
from osteon.serve.audit import request_id
from osteon.serve.intake import Intake
from osteon.serve.ledger import Ledger
from osteon.serve.metrics import resident_bytes
from osteon.serve.schemas import Order
from osteon.serve.settings import ServeSettings
from osteon.serve.steps import Deposited, Done, LoadedModel, Progress, RangeDone, Report, Split, Work
from osteon.telemetry.metrics import MODEL_LOAD_SECONDS, RESIDENT_BYTES, STEP_SECONDS, Note, Notes

Outcome = Split | RangeDone | Done | Deposited
Event = Progress | tuple[Note, ...] | Outcome | OsteonError
"""What a step says: how far it is, what was counted meanwhile, and last what came of it, or why it was refused."""

SAY_S = 0.25  # between words of progress: two processes handle each, and some steps have a thousand windows
Step = Callable[[Work, Report], Outcome]
log = logging.getLogger(__name__)


class Segmenter:
    """Models in memory and the steps that use them.

    Args:
        settings: the fields of a `ServeSettings`.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._settings = ServeSettings.model_validate(settings)
        self._ledger = Ledger(self._settings.open_store())
        self._models: OrderedDict[str, LoadedModel] = OrderedDict()
        self._loading = threading.Lock()
        self._numbers = Notes()

    async def begin(self, id_: str) -> AsyncIterator[Event]:
        """Read an order's scan; a small one is segmented at once."""
        async for event in self._told("begin", id_, Work.begin):
            yield event

    async def label_range(self, id_: str, number: int) -> AsyncIterator[Event]:
        """Label one range of planes."""
        async for event in self._told("label_range", id_, lambda work, report: work.label_range(number, report)):
            yield event

    async def finish(self, id_: str) -> AsyncIterator[Event]:
        """Put the ranges together."""
        async for event in self._told("finish", id_, Work.finish):
            yield event

    async def deposit(self, id_: str) -> AsyncIterator[Event]:
        """Give the bones to the archive that the scan came from."""
        async for event in self._told("deposit", id_, Work.deposit):
            yield event

    async def _told(self, name: str, id_: str, step: Step) -> AsyncIterator[Event]:
        """Do a step in a thread and tell what it reports; whoever stops listening stops it at its next report."""
        loop, events, is_left = asyncio.get_running_loop(), asyncio.Queue[Event | None](), threading.Event()
        said, said_at = "", 0.0

        def report(progress: Progress) -> None:
            nonlocal said, said_at
            if is_left.is_set():
                raise asyncio.CancelledError
            if progress.stage != said or time.monotonic() - said_at > SAY_S:
                said, said_at = progress.stage, time.monotonic()
                loop.call_soon_threadsafe(events.put_nowait, progress)

        running = asyncio.create_task(asyncio.to_thread(self._do, name, id_, step, report))
        running.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield self._numbers.take()
            yield await running
        except OsteonError as refusal:
            yield refusal
        except Exception:  # ours, and no reason to believe that another replica would fare better
            log.exception("order %s: %s failed", id_, name)
            yield OsteonError("internal", "the segmentation failed inside the service", where=id_)
        finally:
            is_left.set()

    def _do(self, name: str, id_: str, step: Step, report: Report) -> Outcome:
        """Do a step in this thread, and count it."""
        order = self._ledger.order(id_)
        request_id.set(order.request_id)  # a thread has a context of its own
        begun = time.perf_counter()
        try:
            return step(self._work(order), report)
        finally:
            seconds = time.perf_counter() - begun
            log.info("order %s: %s took %.3f s", id_, name, seconds)
            self._numbers.record(STEP_SECONDS, seconds, name)
            if (resident := resident_bytes()) is not None:
                self._numbers.record(RESIDENT_BYTES, resident)

    def _work(self, order: Order) -> Work:
        fetch = Intake(self._settings, self._ledger.store)
        return Work(order, self._ledger.store, self._model(order.model), self._settings, fetch, self._numbers)

    def _model(self, name: str) -> LoadedModel:
        """The model of a name; those that were not used for longest make room."""
        with self._loading:
            if name not in self._models:
                begun = time.perf_counter()
                bundle = load_bundle(self._settings.models[self._settings.check_model(name)])
                network = segmenter_of(bundle, self._settings.backend, self._settings.segmenters.threads)
                self._models[name] = LoadedModel(bundle, replace(network, numbers=self._numbers), threading.Lock())
                self._numbers.record(MODEL_LOAD_SECONDS, time.perf_counter() - begun, name)
            self._models.move_to_end(name)
            while len(self._models) > self._settings.segmenters.models:
                self._models.popitem(last=False)
            return self._models[name]
