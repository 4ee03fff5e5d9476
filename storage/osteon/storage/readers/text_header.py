"""What the text headers of MetaImage and NRRD have in common: numbers, and a second file that holds the voxels."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from osteon.core.errors import BadScan

_MAX_NUMBER = 1e15  # nothing in a header is larger; int() of it stays small


def numbers(keys: Mapping[str, str], key: str, count: int | None = None, *, default: str = "") -> tuple[float, ...]:
    """The finite numbers of a key, separated by blanks, commas or brackets.

    Raises:
        BadScan: ``unreadable-header`` if there are not ``count`` of them, or what stands there is no number.
    """
    text = keys.get(key, default)
    try:
        values = tuple(float(part) for part in text.replace(",", " ").replace("(", " ").replace(")", " ").split())
    except ValueError:
        values = ()
    right = all(math.isfinite(value) and abs(value) < _MAX_NUMBER for value in values)
    if not values or not right or (count is not None and len(values) != count):
        wanted = "numbers" if count is None else f"{count} numbers"
        raise BadScan("unreadable-header", f"{key} is {text[:80]!r}, not {wanted}", remedy="save the scan again")
    return values


def beside(path: Path, name: str) -> Path:
    """The file ``name`` in the folder of ``path``.

    Raises:
        BadScan: ``data-file`` if the name leads elsewhere or nowhere.
    """
    file = path.parent / Path(name).name
    if Path(name).name != name or "%" in name or not file.is_file() or file == path:
        what = "the file that holds the voxels is not beside the header, or is not a single one"
        raise BadScan("data-file", what, remedy="keep both files in one folder, or save the scan in one piece")
    return file
