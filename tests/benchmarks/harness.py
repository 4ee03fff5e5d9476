"""Benchmarks side by side: two ways of doing one thing, in alternating rounds, medians, one row each.

Only ratios within one run mean anything: machines differ, and neighbours make noise; alternating spreads it evenly.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "servers"))  # scripts import the test servers too: `import seaweed`


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what is done.
        peer_name: by what else than Osteon.
        unit: of both values; less is better.
        peer: the other's median.
        ours: Osteon's median.
        aim: the ratio aimed at; None where there is none.
        rounds: measured rounds of each.
    """

    name: str
    peer_name: str
    unit: str
    peer: float
    ours: float
    aim: float | None
    rounds: int

    @property
    def ratio(self) -> float:
        """How many times better Osteon is."""
        return self.peer / self.ours


def compare(
    name: str,
    peer_name: str,
    *,
    peer: Callable[[], float],
    ours: Callable[[], float],
    unit: str,
    rounds: int,
    aim: float | None = None,
) -> Row:
    """Measure both in alternating rounds after one round each that does not count.

    Args:
        name: what is done.
        peer_name: by what else.
        peer: does one round and returns its value in ``unit``.
        ours: the same by Osteon.
        unit: of the values; less is better.
        rounds: how many count.
        aim: the ratio aimed at.
    """
    peer(), ours()
    values = [(peer(), ours()) for _ in range(rounds)]
    medians = [statistics.median(each) for each in zip(*values, strict=True)]
    return Row(name, peer_name, unit, medians[0], medians[1], aim, rounds)


def compare_many(
    rows: Sequence[tuple[str, Callable[[], float], float]],
    peer_name: str,
    *,
    peer: Callable[[], float],
    unit: str,
    rounds: int,
) -> list[Row]:
    """Measure several ways of ours against one peer in alternating rounds, after one round each that does not count.

    Args:
        rows: what is done, by what of ours, and the ratio aimed at.
        peer_name: by what else.
        peer: does one round and returns its value in ``unit``.
        unit: of the values; less is better.
        rounds: how many count.
    """
    everyone = [peer, *(ours for _, ours, _ in rows)]
    values = [[each() for each in everyone] for _ in range(1 + rounds)][1:]
    first, *medians = [statistics.median(each) for each in zip(*values, strict=True)]
    return [
        Row(name, peer_name, unit, first, mine, aim, rounds) for (name, _, aim), mine in zip(rows, medians, strict=True)
    ]


def ms_per_item(work: Callable[[], object], items: int) -> float:
    """Wall time of ``work`` in milliseconds, for each of its items."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1e3 / items


def parser(description: str | None) -> argparse.ArgumentParser:
    """The options every benchmark has; a script may add its own."""
    options = argparse.ArgumentParser(description=(description or "").partition("\n")[0])
    options.add_argument("--rounds", type=int, default=5, help="measured rounds of each side")
    options.add_argument("--small", action="store_true", help="a quick try on small data; its figures mean nothing")
    options.add_argument("--json", action="store_true", help="print rows for machines")
    return options


def report(rows: Sequence[Row], *, as_json: bool) -> None:
    """Print the table, or the same for machines."""
    if as_json:
        machine = {"machine": _machine(), "cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
        print(json.dumps(machine | {"rows": [asdict(row) | {"ratio": row.ratio} for row in rows]}, indent=1))
        return
    print(f"| what | peer | peer's | ours | ratio | aim |\n|{'---|' * 6}")
    for row in rows:
        aim = "" if row.aim is None else f"≥ {row.aim:g}x"
        values = f"{row.peer:.4g} {row.unit} | {row.ours:.4g} {row.unit} | {row.ratio:.3g}x"
        print(f"| {row.name} | {row.peer_name} | {values} | {aim} |")
    print(f"\n{os.cpu_count()} cores, {_machine()}; medians of {max(row.rounds for row in rows)} alternating rounds")


def _machine() -> str:
    found = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return found[0].partition(":")[2].strip() if found else platform.machine()
