"""How long a store that refuses or does not answer is asked again: seconds while a person waits, minutes in a job.

It is kept in the environment, as all that concerns a store, so that it holds for the processes of a job as well.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from osteon.core.errors import BadInput, StoreError

P = ParamSpec("P")
T = TypeVar("T")

VARIABLE = "OSTEON_STORE_PATIENCE_S"
BRIEF_S = 10.0
LONG_S = 300.0  # a store that is started again, moved or overrun is back by then, or somebody has to look at it
PASSING = ("store-unreachable", "store-busy")
log = logging.getLogger(__name__)


def patience_s() -> float:
    """Seconds, in this process.

    Raises:
        BadInput: ``bad-patience``: the environment says something else than a number.
    """
    text = os.environ.get(VARIABLE, str(BRIEF_S))
    try:
        return float(text)
    except ValueError as error:
        raise BadInput(
            "bad-patience", f"{text!r} is no number of seconds", where=VARIABLE, remedy="unset it"
        ) from error


@contextmanager
def patience() -> Iterator[None]:
    """Minutes, for this process and those that it starts meanwhile."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = before or f"{LONG_S:g}"
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]


def patiently(ask: Callable[P, T]) -> Callable[P, T]:
    """Asks a store again as long as it is away and this process has patience.

    Each call tries for `BRIEF_S` by itself. It is not left to go on for minutes: it would not hear of Ctrl-C.
    """

    @wraps(ask)
    def asking(*arguments: P.args, **named: P.kwargs) -> T:
        until = time.monotonic() + patience_s() - BRIEF_S
        while True:
            try:
                return ask(*arguments, **named)
            except StoreError as error:
                if error.code not in PASSING or time.monotonic() >= until:
                    raise
                log.warning("%s; it is asked again", error)

    return asking
