"""Ending the processes that a test started, and no others."""

from contextlib import suppress

import psutil


def kill_tree(pid: int) -> None:
    """Kill -9 a process and what it started."""
    try:
        family = [*psutil.Process(pid).children(recursive=True), psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
