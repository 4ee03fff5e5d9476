"""The folds that public datasets come with: nnU-Net's splits_final.json and TotalSegmentator's meta.csv."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from osteon.core.errors import BadInput
from osteon.storage.importers.plan import Split


def read_folds(path: Path) -> tuple[Split, ...]:
    """The folds of a splits_final.json: a list of ``{"train": [ids], "val": [ids]}``.

    Raises:
        BadInput: ``bad-json``.
    """
    try:
        folds = json.loads(path.read_text("utf-8"))
        return tuple(Split(_ids(fold["train"]), _ids(fold["val"])) for fold in folds)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput("bad-json", f"holds no list of folds ({error})", where=str(path)) from None


def read_meta(path: Path) -> tuple[Split, ...] | None:
    """The one split of a meta.csv (columns ``image_id`` and ``split``, separated by semicolons), if it has one."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = [(row.get("image_id") or "", row.get("split") or "") for row in csv.DictReader(file, delimiter=";")]
    train, val = (tuple(sorted(id_ for id_, split in rows if id_ and split == part)) for part in ("train", "val"))
    return (Split(train, val),) if train or val else None


def _ids(values: object) -> tuple[str, ...]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("ids are no list of strings")
    return tuple(values)
