"""The service as a Ray Serve application: what ``osteon serve`` runs here, and ``serve deploy`` or RayService there.

```yaml
applications:
  - name: osteon
    import_path: osteon.serve.app:build
    args: {models: {bones: s3://models/bones}, store: s3://segmentations}
```
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import torch
from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from osteon.serve.api import new_api
from osteon.serve.audit import open_log
from osteon.serve.crew import RayCrew
from osteon.serve.desk import Desk
from osteon.serve.ledger import Ledger
from osteon.serve.metrics import Everywhere, Registry
from osteon.serve.ray_front import RayFront
from osteon.serve.ray_metrics import RayRecorder
from osteon.serve.segmenter import Segmenter
from osteon.serve.settings import ServeSettings
from osteon.telemetry.metrics import Note, replay

API, DESK, SEGMENTER = "Api", "Desk", "Segmenter"
STEPS_FOR_EACH = 4  # replica that there may be: given at once, so that Ray Serve sees that steps wait
IN_REPLICA = 2  # steps that one has at once: while one computes, another reads or writes
QUEUED = 2.0  # steps for each replica, under way or waiting, before another one is started


class DeskReplica:
    """A `Desk` that runs for as long as its process."""

    def __init__(self, settings: dict[str, Any], segmenter: DeploymentHandle[Any]) -> None:
        open_log()
        checked = ServeSettings.model_validate(settings)
        steps_at_once = STEPS_FOR_EACH * checked.segmenters.most
        ledger, crew = Ledger(checked.open_store()), RayCrew(segmenter)
        self._registry = Registry()
        self._numbers = Everywhere(self._registry, RayRecorder())
        self._desk = Desk(ledger, crew, checked.keep_hours, steps_at_once, self._numbers)
        self._running = asyncio.get_running_loop().create_task(self._desk.run())

    async def take(self, id_: str) -> None:
        """Begin to carry an order."""
        self._desk.take(id_)

    async def drop(self, id_: str) -> None:
        """Stop carrying an order."""
        await self._desk.drop(id_)

    async def ended(self, id_: str, within_s: float) -> None:
        """Return when an order that is carried has ended; after some seconds in any case."""
        await self._desk.ended(id_, within_s)

    async def num_carried(self) -> int:
        """Orders that are being carried or wait for a place."""
        return self._desk.num_carried

    async def tell(self, notes: Sequence[Note]) -> None:
        """Count what another process noted."""
        replay(notes, self._numbers)

    async def metrics(self) -> str:
        """The numbers of the whole service."""
        self._desk.measure()
        return self._registry.text()

    def check_health(self) -> None:
        """Have the desk started anew if it stopped looking."""
        if self._running.done():
            raise RuntimeError("the desk stopped looking for orders")


class SegmenterReplica(Segmenter):
    """A `Segmenter` in a process of its own."""

    def __init__(self, settings: dict[str, Any]) -> None:
        open_log()
        super().__init__(settings)
        torch.set_num_threads(self._settings.segmenters.threads)  # Ray means one for each processor that it counts


def build(args: ServeSettings | dict[str, Any]) -> serve.Application:
    """The application of some settings, or of their fields, as a configuration file has them."""
    checked = ServeSettings.model_validate(args)
    settings, replicas = checked.model_dump(mode="json"), checked.segmenters
    segmenter = serve.deployment(
        name=SEGMENTER,
        max_ongoing_requests=IN_REPLICA,
        autoscaling_config={
            "min_replicas": replicas.least,
            "initial_replicas": max(1, replicas.least),
            "max_replicas": max(replicas.most, replicas.least),
            "target_ongoing_requests": QUEUED,
        },
        ray_actor_options={"num_cpus": replicas.cpus or 1, "num_gpus": replicas.gpus},
        graceful_shutdown_timeout_s=120,
    )(SegmenterReplica).bind(settings)
    desk = serve.deployment(name=DESK, num_replicas=1, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0})(
        DeskReplica
    ).bind(settings, segmenter)

    def new_app() -> FastAPI:
        open_log()
        app_name = serve.get_replica_context().app_name
        return new_api(checked, RayFront(serve.get_deployment_handle(DESK, app_name)))

    api = serve.deployment(
        name=API, num_replicas=checked.api_replicas, max_ongoing_requests=1000, ray_actor_options={"num_cpus": 0}
    )(serve.ingress(new_app)())
    return api.bind(desk)
