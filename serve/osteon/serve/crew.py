"""The segmenter replicas as the desk sees them, through Ray Serve."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from ray.exceptions import RayError, RayTaskError
from ray.serve.exceptions import RayServeException
from ray.serve.handle import DeploymentHandle, DeploymentResponseGenerator

from osteon.serve.desk import Lost
from osteon.serve.schemas import Order
from osteon.serve.segmenter import Event


class RayCrew:
    """Steps as streaming calls of a deployment; which replica does one is Ray Serve's to choose.

    Args:
        segmenter: handle of the `osteon.serve.segmenter.Segmenter` deployment.
    """

    def __init__(self, segmenter: DeploymentHandle[Any]) -> None:
        self._steps: DeploymentHandle[Any] = segmenter.options(stream=True)

    def begin(self, order: Order) -> AsyncIterator[Event]:
        """Read an order's scan; a small one is segmented at once."""
        return _events(self._steps.begin.remote(order.id))

    def label_range(self, order: Order, number: int) -> AsyncIterator[Event]:
        """Label one range of planes."""
        return _events(self._steps.label_range.remote(order.id, number))

    def finish(self, order: Order) -> AsyncIterator[Event]:
        """Put the ranges together."""
        return _events(self._steps.finish.remote(order.id))

    def deposit(self, order: Order) -> AsyncIterator[Event]:
        """Give the bones to the archive that the scan came from."""
        return _events(self._steps.deposit.remote(order.id))


async def _events(response: Any) -> AsyncIterator[Event]:
    """What a step says; `Lost` if its replica is gone or broken."""
    stream: DeploymentResponseGenerator[Event] = response  # what a handle with ``stream`` gives
    try:
        async for event in stream:
            yield event
    except (RayError, RayServeException) as error:
        cause = error.cause if isinstance(error, RayTaskError) else error
        raise Lost(f"{type(cause).__name__}: {cause}".splitlines()[0]) from error
    finally:
        stream.cancel()
