"""What an import will do, as plain values: which scan becomes which case with which labels. Reads no voxels."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from osteon.core.labels import LabelTable, canonical_name, table_for
from osteon.storage.importers.non_bones import NON_BONES
from osteon.storage.readers import LabelSource, Rejected, ScanSource

_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class CaseSource:
    """One case to be.

    Attributes:
        case_id: its id; None if it is to follow from the source's digest.
        scan: the volume.
        labels: its labels, if it has any.
    """

    case_id: str | None
    scan: ScanSource
    labels: LabelSource | None


@dataclass(frozen=True)
class Split:
    """One fold of a dataset's own cross-validation: case ids.

    Attributes:
        train: to train on.
        val: to validate on.
    """

    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class Found:
    """What one layout found below one source.

    Attributes:
        cases: cases and what cannot become one.
        splits: the dataset's own folds, if it has any.
        notes: what was passed over, for people; may name files.
    """

    cases: tuple[CaseSource | Rejected, ...]
    splits: tuple[Split, ...] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportPlan:
    """What an import will do.

    Attributes:
        layout: how the sources were understood; several names joined by ``+`` if they differ.
        cases: cases and what cannot become one, in order of their sources.
        table: the labels of all cases: bones with their fixed ids, other names from 200 on, organs left out.
        splits: the dataset's own folds, if it has any.
        notes: what was passed over, for people; may name files.
    """

    layout: str
    cases: tuple[CaseSource | Rejected, ...]
    table: LabelTable
    splits: tuple[Split, ...] | None
    notes: tuple[str, ...] = ()


def case_id_of(name: str) -> str | None:
    """The name as a case id, or None if it cannot be one."""
    return name if _CASE_ID.fullmatch(name) else None


def table_of(cases: Iterable[CaseSource | Rejected]) -> LabelTable:
    """The labels that the cases' sources name, without organs, muscles, vessels and the background."""
    labels = [case.labels for case in cases if isinstance(case, CaseSource) and case.labels is not None]
    names = dict.fromkeys(canonical_name(entry.name) for source in labels for entry in source.names)
    return table_for(name for name in names if name not in NON_BONES)
