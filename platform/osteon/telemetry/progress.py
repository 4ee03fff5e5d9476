"""One progress line for every long command; silent when the output is read by a machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class Bar(Protocol):
    """A running progress line."""

    def advance(self, amount: float = 1, note: str = "") -> None:
        """Count ``amount`` more as done; ``note`` replaces the text at the end of the line."""
        ...


class _Silent:
    def advance(self, amount: float = 1, note: str = "") -> None:
        """Nothing to show."""


class _Shown:
    def __init__(self, progress: Progress, description: str, total: float) -> None:
        self._progress = progress
        self._task = progress.add_task(description, total=total, note="")

    def advance(self, amount: float = 1, note: str = "") -> None:
        self._progress.update(self._task, advance=amount, note=note)


@contextmanager
def progress_bar(description: str, total: float, *, shown: bool = True) -> Iterator[Bar]:
    """A bar on standard error with count, elapsed and remaining time; silent unless ``shown``."""
    if not shown:
        yield _Silent()
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(file=sys.stderr)) as progress:
        yield _Shown(progress, description, total)
