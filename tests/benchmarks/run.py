"""Every benchmark, one after the other: what `make bench` runs. Prints one table; --write keeps it in the documents."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import parser

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "reference" / "benchmarks.md"
HEAD = "| benchmark | what | peer | peer's | ours | ratio | aim |\n|---|---|---|---|---|---|---|"
BEGIN, END = "<!-- begin: written by `make bench BENCH_ARGS=--write` -->", "<!-- end -->"


@dataclass(frozen=True)
class Result:
    """What one script printed.

    Attributes:
        name: of the script, without ``bench_``.
        printed: its JSON; None if it failed.
    """

    name: str
    printed: dict[str, Any] | None

    def lines(self) -> list[str]:
        """Rows of the table."""
        if self.printed is None:
            return [f"| {self.name} | failed: run it alone to see why | | | | | |"]
        return [self._line(row) for row in self.printed["rows"]]

    def _line(self, row: dict[str, Any]) -> str:
        aim = "" if row["aim"] is None else f"≥ {row['aim']:g}x"
        unit = row["unit"]
        return (
            f"| {self.name} | {row['name']} | {row['peer_name']} | {row['peer']:.4g} {unit} | {row['ours']:.4g} {unit} "
            f"| {row['ratio']:.3g}x | {aim} |"
        )


def measure(script: Path, arguments: list[str]) -> Result:
    """Run a benchmark in a process of its own; what it says besides its rows goes to standard error."""
    name = script.stem.removeprefix("bench_")
    print(f"{name} …", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, script, "--json", *arguments], stdout=subprocess.PIPE, text=True, check=False
    )
    start = done.stdout.find("{")
    return Result(name, json.loads(done.stdout[start:]) if done.returncode == 0 and start >= 0 else None)


def main() -> int:
    """Print the table."""
    options = parser(__doc__)
    options.add_argument("--write", action="store_true", help=f"keep the table in {TABLE.name}")
    options.add_argument("--only", nargs="+", metavar="NAME", help="names of benchmarks, without bench_")
    chosen = options.parse_args()
    scripts = [path for path in sorted(HERE.glob("bench_*.py")) if not chosen.only or path.stem[6:] in chosen.only]
    arguments = ["--rounds", str(chosen.rounds), *(["--small"] if chosen.small else [])]
    results = [measure(script, arguments) for script in scripts]
    table = "\n".join([HEAD, *(line for result in results for line in result.lines())])
    machine = next((result.printed for result in results if result.printed), {})
    facts = f"{machine.get('date')}, {machine.get('machine')}, {machine.get('cores')} cores, {chosen.rounds} rounds"
    print(f"{facts}\n\n{table}")
    if chosen.write:
        before, _, rest = TABLE.read_text("utf-8").partition(BEGIN)
        after = rest.partition(END)[2]
        TABLE.write_text(f"{before}{BEGIN}\n\nMeasured {facts}.\n\n{table}\n\n{END}{after}", "utf-8")
    return int(any(result.printed is None for result in results))


if __name__ == "__main__":
    sys.exit(main())
