"""Brings an order's scan near: what was sent comes from the store, what was named from where it lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from osteon.core.errors import BadInput
from osteon.serve.archives import unpack
from osteon.serve.dicomweb import fetch_series, is_series
from osteon.serve.endings import CASE, suffix_of
from osteon.serve.fetch import fetch
from osteon.serve.schemas import Order
from osteon.serve.settings import ServeSettings
from osteon.serve.sources import check_source
from osteon.storage.stores import Store, open_store


@dataclass(frozen=True)
class Intake:
    """Fetches for one service; see `osteon.serve.steps.Fetch`.

    Attributes:
        settings: what may be fetched from where.
        store: of the service.
    """

    settings: ServeSettings
    store: Store

    def __call__(self, order: Order, scratch: Path) -> str:
        """A file or folder, or the URL of a stored case.

        Raises:
            BadInput: ``expired``, ``source-not-allowed`` and what else `fetch` refuses.
            BadScan: a zip that must not be unpacked.
        """
        if order.upload is None:
            assert order.source is not None
            return self._named(order.source, scratch)
        path = scratch / order.upload.rpartition("/")[2]
        _get(self.store, order.upload, path)
        return self._unpacked(path)

    def _named(self, source: str, scratch: Path) -> str:
        url = check_source(source, self.settings.sources).rstrip("/")
        if url.endswith(CASE):
            return url
        max_bytes = self.settings.guard.limits.scan_bytes
        if is_series(url):
            series, max_files = scratch / "dicom", self.settings.archives.entries
            fetch_series(url, series, self.settings.sources, max_bytes=max_bytes, max_files=max_files)
            return str(series)
        path = scratch / f"scan{suffix_of(urlsplit(url).path)}"
        if url.startswith("https:"):
            fetch(url, path, self.settings.sources, max_bytes=max_bytes)
        else:
            folder, name = open_store(url).parent_and_name
            _get(folder, name, path)
        return self._unpacked(path)

    def _unpacked(self, path: Path) -> str:
        if path.suffix != ".zip":
            return str(path)
        folder = path.with_name("dicom")
        unpack(path, folder, self.settings.archives)
        return str(folder)


def _get(store: Store, key: str, path: Path) -> None:
    try:
        store.get_file(key, path)
    except FileNotFoundError:
        raise BadInput("expired", "the scan was not sent, or is gone", remedy="send it again") from None
