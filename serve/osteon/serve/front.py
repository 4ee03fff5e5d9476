"""Who stands behind the API, as the API sees it; and the one thing that can be wrong with it. Knows no Ray."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from osteon.serve.problems import TryLater
from osteon.telemetry.metrics import Note


class DeskAway(TryLater):
    """The desk does not answer: it is being replaced, or the cluster is."""


class Front(Protocol):
    """Who stands behind the API; everything that is asked of it may raise `DeskAway`, soon."""

    async def take(self, id_: str) -> None:
        """Tell the desk of an order; it would find it by itself a little later."""
        ...

    async def drop(self, id_: str) -> None:
        """Tell the desk to leave an order; one that is gone from the ledger it would leave by itself."""
        ...

    async def ended(self, id_: str, within_s: float) -> None:
        """Return when an order that is carried has ended; after some seconds in any case."""
        ...

    async def num_open(self) -> int:
        """Orders that are not over."""
        ...

    async def tell(self, notes: Sequence[Note]) -> None:
        """Bring numbers to the desk, which keeps those of the whole service."""
        ...

    async def metrics(self) -> str:
        """These numbers, in Prometheus' text format."""
        ...
