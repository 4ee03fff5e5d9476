"""What was accepted and how far it is, in a store: the only memory of the service. Knows no Ray and no HTTP.

```
orders/<id>.json                 what was asked; put once, before the answer 202
open/<id>                        there as long as the order is not over
standings/<id>.json              how far it is
owners/<owner>/<when>-<id>       for listing, newest first
uploads/<upload>/scan<suffix>    what was sent
unclaimed/<upload>               there as long as no order was accepted for it
work/<id>/…                      parts of the labels while it is worked on
results/<id>.zarr                scan and labels: an OME-Zarr case, committed by one put
```

The marker in ``open`` is put before the order: a kill in between leaves a marker of nothing, which is dropped after an
hour, and never an order that nobody looks at.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from osteon.core.errors import BadInput, Conflict
from osteon.serve.schemas import Order, Segmentation, Standing, now
from osteon.storage.stores import Store

RECEIVING = ".osteon-receiving-"
_LAST_MS = 9_999_999_999_999  # the year 2286: times count down from here, so that names sort newest first


class NotFound(BadInput):
    """There is no such thing, or it is somebody else's."""


@dataclass(frozen=True)
class Ledger:
    """The orders of a service.

    Attributes:
        store: where they lie.
    """

    store: Store

    def accept(self, order: Order) -> Order:
        """Put an order, and from then on it is somebody's duty; the one that is there if it was put before.

        When this returns, not even a power cut undoes it.

        Raises:
            Conflict: ``other-request``: the id stands for something else.
        """
        self.store.write_bytes(f"open/{order.id}", order.created.isoformat().encode())
        if not self.store.create_bytes(f"orders/{order.id}.json", order.model_dump_json().encode()):
            kept = self.order(order.id)
            if kept.digest != order.digest:
                what = "this Idempotency-Key was used for another request"
                raise Conflict("other-request", what, remedy="use a new key for a new request")
            if self.standing(kept).is_over:
                self.close(order.id)
            self._settle(kept)  # who put it may have been killed before he could
            return kept
        self.store.write_bytes(_listing(order), b"")
        self._settle(order)
        if order.upload is not None:
            self.store.delete(_unclaimed(order.upload))
        return order

    def expect(self, upload: str) -> None:
        """Note that a scan is coming in under this key; if nobody ever asks for its bones, it is deleted."""
        self.store.write_bytes(_unclaimed(upload), now().isoformat().encode())

    def order(self, id_: str, owner: str | None = None) -> Order:
        """The order of an id, if it is the owner's.

        Raises:
            NotFound: ``not-found``.
        """
        missing = NotFound("not-found", f"there is no segmentation {id_!r} of yours", remedy="check the id")
        if not (id_.isascii() and id_.isalnum() and len(id_) <= 64):  # a name that every store takes
            raise missing
        try:
            order = Order.model_validate_json(self.store.read_bytes(f"orders/{id_}.json"))
        except FileNotFoundError:
            raise missing from None
        if owner not in (None, order.owner):
            raise missing
        return order

    def standing(self, order: Order) -> Standing:
        """How far an order is; cancelled if it was deleted meanwhile."""
        try:
            return Standing.model_validate_json(self.store.read_bytes(f"standings/{order.id}.json"))
        except FileNotFoundError:
            if self.store.exists(f"orders/{order.id}.json"):
                return Standing(updated=order.created)
            return Standing(state="cancelled", updated=now())

    def segmentation(self, order: Order) -> Segmentation:
        """An order as its owner sees it."""
        return Segmentation.of(order, self.standing(order))

    def write(self, id_: str, standing: Standing) -> None:
        """Note how far an order is; when it is over, forget what was only needed on the way."""
        self.store.write_bytes(f"standings/{id_}.json", standing.model_dump_json().encode())
        if standing.is_over:
            self.store.settle(f"standings/{id_}.json")
            self.store.delete(f"work/{id_}")
            self.close(id_)

    def close(self, id_: str) -> None:
        """Nobody has to look at the order any more."""
        self.store.delete(f"open/{id_}")

    def drop_stale(self, id_: str) -> None:
        """Remove the marker of an order that was never put."""
        if self._age_h(f"open/{id_}") > 1:
            self.close(id_)

    def open_ids(self) -> list[str]:
        """Orders that are not over."""
        return self.store.list_children("open")

    def owned(self, owner: str, after: str | None, limit: int) -> tuple[list[Order], str | None]:
        """A page of an owner's orders, newest first, and where the next one begins."""
        names = [name for name in self.store.list_children(f"owners/{owner}") if after is None or name > after]
        orders = []
        for name in names[:limit]:
            try:
                orders.append(self.order(name.rpartition("-")[2], owner))
            except NotFound:  # deleted meanwhile
                continue
        return orders, names[limit - 1] if len(names) > limit else None

    def forget(self, order: Order) -> None:
        """Delete an order with its scan and its result; the order itself goes last but for its place in the list."""
        for key in (f"results/{order.id}.zarr", f"work/{order.id}", f"standings/{order.id}.json"):
            self.store.delete(key)
        if order.upload is not None:
            self.drop_upload(order.upload)
        self.close(order.id)
        self.store.delete(f"orders/{order.id}.json")
        self.store.delete(_listing(order))

    def forget_older(self, hours: float) -> int:
        """Delete what was asked longer ago and is over; how many."""
        limit, count = now() - timedelta(hours=hours), 0
        for owner in self.store.list_children("owners"):
            for name in reversed(self.store.list_children(f"owners/{owner}")):
                if name > _when(limit):
                    count += self._forget_if_over(name.rpartition("-")[2])
        return count

    def drop_upload(self, upload: str) -> None:
        """Delete a scan that nobody will ask for."""
        self.store.delete(upload.rpartition("/")[0])
        self.store.delete(_unclaimed(upload))

    def forget_unclaimed(self, hours: float) -> int:
        """Delete scans that came in longer ago and were never asked for; how many."""
        stale = [name for name in self.store.list_children("unclaimed") if self._age_h(f"unclaimed/{name}") > hours]
        # A kill between accepting an order and taking its scan off this list must not cost the scan.
        asked_for = {self._upload_of(name) for name in self.store.list_children("orders")} if stale else set()
        self._sweep_received(hours)
        for name in stale:
            if name not in asked_for:
                self.store.delete(f"uploads/{name}")
            self.store.delete(f"unclaimed/{name}")
        return len(set(stale) - asked_for)

    def forget_orphans(self) -> int:
        """Delete what a step that was under way put for an order after that was deleted; how many orders left some."""
        folders = ("results", "work", "standings")
        found = {name.partition(".")[0] for folder in folders for name in self.store.list_children(folder)}
        # Listed last: an order is put before anything else of it.
        orphans = found - {name.removesuffix(".json") for name in self.store.list_children("orders")}
        for id_ in orphans:
            for key in (f"results/{id_}.zarr", f"work/{id_}", f"standings/{id_}.json"):
                self.store.delete(key)
        return len(orphans)

    @contextmanager
    def receiving(self) -> Iterator[Path]:
        """A folder for what is being sent: on the store's own disk if it has one, so that nothing is copied there."""
        place = self.store.local_path
        if place is not None:
            place.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=RECEIVING, dir=place, ignore_cleanup_errors=True) as folder:
            yield Path(folder)

    def _settle(self, order: Order) -> None:
        scan = () if order.upload is None else (order.upload,)
        self.store.settle(*scan, f"open/{order.id}", f"orders/{order.id}.json", _listing(order))

    def _sweep_received(self, hours: float) -> None:
        """Delete what killed processes left half-received."""
        place = self.store.local_path or Path(tempfile.gettempdir())
        for folder in place.glob(f"{RECEIVING}*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > hours * 3600:
                    shutil.rmtree(folder)

    def _upload_of(self, name: str) -> str:
        try:
            upload = self.order(name.removesuffix(".json")).upload
        except NotFound:
            return ""
        return "" if upload is None else upload.split("/")[1]

    def _age_h(self, marker: str) -> float:
        try:
            since = datetime.fromisoformat(self.store.read_bytes(marker).decode())
        except FileNotFoundError:
            return 0.0
        return (now() - since) / timedelta(hours=1)

    def _forget_if_over(self, id_: str) -> bool:
        try:
            order = self.order(id_)
        except NotFound:
            return False
        if self.standing(order).is_over:
            self.forget(order)
            return True
        return False


def _unclaimed(upload: str) -> str:
    return f"unclaimed/{upload.split('/')[1]}"


def _listing(order: Order) -> str:
    return f"owners/{order.owner}/{_when(order.created)}-{order.id}"


def _when(time: datetime) -> str:
    return f"{_LAST_MS - int(time.timestamp() * 1000):013d}"
