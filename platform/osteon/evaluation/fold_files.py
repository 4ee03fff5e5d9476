"""The files that people bring to a cross-validation: nnU-Net's splits, and whose each case is."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

from pydantic import TypeAdapter

from osteon.core.errors import BadInput


class Fold(NamedTuple):
    """Ids of the cases that a fold learns from, and of those it is judged by; both sorted."""

    training: tuple[str, ...]
    validation: tuple[str, ...]


def read_splits(path: str) -> tuple[Fold, ...]:
    """The folds of an nnU-Net ``splits_final.json``.

    Raises:
        BadInput: ``bad-splits``.
    """
    try:
        folds = json.loads(Path(path).read_text("utf-8"))
        if not folds:
            raise ValueError("it has no fold")
        return tuple(Fold(_ids(fold["train"]), _ids(fold["val"])) for fold in folds)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise BadInput(
            "bad-splits",
            f"not an nnU-Net splits file ({type(error).__name__}: {error})",
            where=path,
            remedy='it holds [{"train": [case ids], "val": [case ids]}, …]',
        ) from error


def read_patients(path: str) -> dict[str, str]:
    """The patient of each case id: JSON ``{case id: patient}``, or ``.csv`` with the header ``case,patient``.

    Raises:
        BadInput: ``bad-patients``.
    """
    try:
        text = Path(path).read_text("utf-8-sig")  # as spreadsheets write CSV
        return _from_csv(text) if path.endswith(".csv") else TypeAdapter(dict[str, str]).validate_json(text)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise BadInput(
            "bad-patients",
            f"does not say whose each case is ({reason})",
            where=path,
            remedy="write JSON {case id: patient}, or a .csv with the header case,patient",
        ) from error


def _ids(names: list[str]) -> tuple[str, ...]:
    return tuple(sorted({str(name) for name in names}))


def _from_csv(text: str) -> dict[str, str]:
    return {row["case"]: row["patient"] for row in csv.DictReader(text.splitlines(), strict=True)}
