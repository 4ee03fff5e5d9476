"""Options that several commands have, and what is made of their values."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteon.core.errors import BadInput

CaseIds = Annotated[str | None, typer.Option("--cases", metavar="A,B", help="Ids of the cases, by commas.")]
LabelsMap = Annotated[
    Path | None, typer.Option("--labels-map", help="JSON file from label ids to names, if nothing else tells.")
]
Scheduler = Annotated[str, typer.Option(help="local, threads, ray, or a Dask address tcp://host:port.")]
Tasks = Annotated[int | None, typer.Option(min=1, help="Tasks at once; one per core if not given.")]


def split_names(text: str) -> tuple[str, ...]:
    """The names between commas; empty ones are left out."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_workers(text: str, where: str) -> tuple[int, int]:
    """Fewest and most workers, of ``N`` or ``MIN:MAX``.

    Raises:
        BadInput: ``bad-workers``, at the option ``where``.
    """
    fewest, _, most = text.partition(":")
    try:
        count = (int(fewest), int(most or fewest))
    except ValueError:
        count = (0, 0)
    if not 1 <= count[0] <= count[1]:
        raise BadInput("bad-workers", f"{text!r} is not a number of workers", where=where, remedy="say 2, or 1:4")
    return count


def check_new_file(path: Path) -> None:
    """Refuse to write over a file.

    Raises:
        BadInput: ``file-exists``.
    """
    if path.exists():
        raise BadInput("file-exists", "there is a file already", where=str(path), remedy="name another, or remove it")
