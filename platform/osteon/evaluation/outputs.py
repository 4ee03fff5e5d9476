"""Where results go: a folder or a prefix of an object store that holds none of the kind yet."""

from __future__ import annotations

from osteon.core.errors import Conflict
from osteon.storage.stores import open_store


def check_absent(out: str, *names: str, code: str) -> None:
    """Refuse a place that holds one of these files, before hours are spent on what could not be written there.

    Args:
        out: path or URL.
        names: of the files, within it.
        code: of the refusal.

    Raises:
        Conflict: ``code``.
    """
    store = open_store(out)
    for name in names:
        if store.exists(name):
            remedy = "choose another --out, or remove it"
            raise Conflict(code, f"there is a {name} already", where=out, remedy=remedy)
