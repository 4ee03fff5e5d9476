"""The plan of a case: where it goes, its grid and labels, and every array and row that follows from them."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from osteon.core.errors import BadInput
from osteon.core.geometry import Grid
from osteon.core.labels import LabelTable
from osteon.storage import layout
from osteon.storage.layout import ArrayLayout
from osteon.storage.stores import Store

CASES = "cases"
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def check_case_id(case_id: str) -> str:
    """The id itself, if it may name a case.

    Raises:
        BadInput: ``bad-case-id``.
    """
    if not _CASE_ID.fullmatch(case_id):
        raise BadInput(
            "bad-case-id",
            f"{case_id!r} cannot name a case",
            remedy="begin with a letter or digit, go on with letters, digits, dots, dashes and underscores",
        )
    return case_id


def case_prefix(case_id: str) -> str:
    """The folder of a case in its dataset."""
    return f"{CASES}/{check_case_id(case_id)}.zarr"


@dataclass(frozen=True)
class CasePlan:
    """One case to be written; only numbers and a URL, so it can be sent to any process.

    Attributes:
        store: the dataset's.
        prefix: the case's folder in it.
        case_id: the case's id.
        grid: level 0's grid, LPS.
        table: labels the case may hold.
        has_labels: whether labels are written.
    """

    store: Store
    prefix: str
    case_id: str
    grid: Grid
    table: LabelTable
    has_labels: bool

    @property
    def num_rows(self) -> int:
        """How many rows have to be written."""
        return layout.num_rows(self.grid.shape)

    @property
    def num_levels(self) -> int:
        """How many pyramid levels the case gets."""
        return layout.num_levels(self.grid.shape)

    @property
    def largest_id(self) -> int:
        """The largest label id the case may hold."""
        return self.table.labels[-1].id if self.table.labels else 0

    def row_range(self, row: int) -> tuple[int, int]:
        """First slice and one past the last slice of a row."""
        return layout.row_range(self.grid.shape, row)

    def image_layouts(self) -> list[ArrayLayout]:
        """The HU array of each level."""
        return [layout.image_layout(self.grid.shape, level) for level in range(self.num_levels)]

    def labels_layouts(self) -> list[ArrayLayout]:
        """The label array of each level; none for a case without labels."""
        levels = range(self.num_levels if self.has_labels else 0)
        return [layout.labels_layout(self.grid.shape, level, self.labels_dtype) for level in levels]

    @property
    def labels_dtype(self) -> np.dtype[np.generic]:
        """The type of the label array."""
        return self.table.dtype
