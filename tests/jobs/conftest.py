"""What jobs that write datasets compare them by."""

from collections.abc import Callable
from pathlib import Path

import pytest

from osteon.storage.manifest import RootDocument
from osteon.storage.stores import open_store


@pytest.fixture
def contents() -> Callable[[str | Path], dict[str, bytes | str]]:
    """Every object of a dataset's cases by key; of root documents the manifest, without what each commit draws."""

    def read(url: str | Path) -> dict[str, bytes | str]:
        store = open_store(str(url))
        return {key: _comparable(key, store.read_bytes(key)) for key in store.list("cases")}

    return read


def _comparable(key: str, data: bytes) -> bytes | str:
    if key.count("/") != 2 or not key.endswith("zarr.json"):
        return data
    return RootDocument.from_bytes(data, key).manifest.model_copy(update={"write_id": ""}).model_dump_json()
