"""One progress line for every long command: drawn on a terminal, now and then a plain one in the log of a job."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

LINE_EVERY_S = 15.0  # in a log; often enough to see that it goes on, seldom enough to be read


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


class _Logged:
    """A plain line at once, at most every `LINE_EVERY_S` after that, and one of the end."""

    def __init__(self, description: str, total: float) -> None:
        self._description, self._total = description, total
        self._done, self._note = 0.0, ""
        self._begun = self._told = time.monotonic()

    def advance(self, amount: float = 1, note: str = "") -> None:
        first = not self._done
        self._done, self._note = self._done + amount, note
        if amount and (first or time.monotonic() - self._told >= LINE_EVERY_S):
            self.tell()

    def tell(self) -> None:
        """Print how far it is."""
        self._told = time.monotonic()
        elapsed_s = self._told - self._begun
        left = f", {_clock(elapsed_s * (self._total / self._done - 1))} left" if 0 < self._done < self._total else ""
        note = f" · {self._note}" if self._note else ""
        line = f"{self._description} {self._done:.0f}/{self._total:.0f}, {_clock(elapsed_s)}{left}{note}"
        print(line, file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 3600}:{int(seconds) // 60 % 60:02}:{int(seconds) % 60:02}"


@contextmanager
def progress_bar(description: str, total: float, *, shown: bool = True) -> Iterator[Bar]:
    """Count, elapsed and remaining time on standard error, as a bar or as lines; silent unless ``shown``."""
    if not shown:
        yield _Silent()
        return
    if not sys.stderr.isatty():
        logged = _Logged(description, total)
        yield logged
        logged.tell()
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
