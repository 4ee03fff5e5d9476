"""`osteon sweep demo` against its trials by hand: one after the other, and as many at once as there are cores.

By hand is what a user would type: `osteon train` and `osteon evaluate` with one thread. Of each configuration its first
fold is run, and counted for all of them; what ran alone is divided by the cores, as if two trainings did not slow each
other down. The sweep's time is the command's, from its start to its end: the ensemble's evaluation on the held-out
cases, which no trial has, is in it. A round takes 20 minutes; one is measured unless more are asked for.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml
from harness import Row, parser, report

from osteon.jobs.sweep import SweepRequest, preview
from osteon.jobs.sweep_plan import SweepPlan
from osteon.recipes.space import Configuration, overrides
from osteon.recipes.sweep import load_sweep

CASES = 8
CORES = len(os.sched_getaffinity(0))
AIM = 1 / 1.10
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in ("RAY_ADDRESS", "OMP_NUM_THREADS")}


def main() -> None:
    """Print the row."""
    arguments = parser(__doc__)
    arguments.set_defaults(rounds=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="osteon-bench-") as name:
        bench = Bench(Path(name), "demo")
        osteon("phantom", bench.folder / "phantom", "--cases", CASES)
        osteon("ingest", bench.folder / "phantom", bench.data)
        if options.small:
            bench = Bench(bench.folder, _short(bench.folder))
        report(bench.rows(options.rounds), as_json=options.json)


def osteon(*words: object, **environment: str) -> float:
    """Run a command; its wall time in seconds."""
    began = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "osteon.cli.main", *map(str, words)],
        env=ENVIRONMENT | environment,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.monotonic() - began


@dataclass(frozen=True)
class Bench:
    """One sweep on one dataset.

    Attributes:
        folder: where everything is put.
        sweep: name or path.
    """

    folder: Path
    sweep: str

    @property
    def data(self) -> str:
        """URL of the dataset."""
        return str(self.folder / "data")

    def rows(self, rounds: int) -> list[Row]:
        """All sides in alternating rounds; they run for minutes, so none is run for nothing."""
        values = [(self._by_hand(1), self._by_hand(CORES), self._together()) for _ in range(rounds)]
        alone, at_once, together = (statistics.median(each) for each in zip(*values, strict=True))
        name = "osteon sweep demo, 12 trials"
        return [
            Row(name, "its trials one by one / cores", "s", alone / CORES, together, AIM, rounds),
            Row(name, "its trials by hand, one per core at once", "s", at_once, together, AIM, rounds),
        ]

    def _together(self) -> float:
        return osteon("sweep", self.sweep, "--data", self.data, "--out", self._new(), "--json")

    def _by_hand(self, at_once: int) -> float:
        plan = preview(SweepRequest(self.sweep, self.data, ""))
        began = time.monotonic()
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda each: self._trial(plan, each), plan.configurations))
        return (time.monotonic() - began) * len(plan.record.chosen)

    def _trial(self, plan: SweepPlan, configuration: Configuration) -> None:
        fold, spec, run = plan.record.folds[0], plan.record.spec, self._new()
        cases = {"training.training_cases": list(fold.training), "training.validation_cases": list(fold.validation)}
        asked = overrides(spec.settings | configuration.settings | cases)
        sets = [word for setting in asked for word in ("--set", setting)]
        alone = {"OMP_NUM_THREADS": "1"}
        words = ("--data", self.data, "--out")
        osteon("train", spec.recipe, *words, run, "--cpus", "1", *sets, **alone)
        osteon("evaluate", f"{run}/model", *words, f"{run}/report", **alone)

    def _new(self) -> str:
        return tempfile.mkdtemp(dir=self.folder)


def _short(folder: Path) -> str:
    spec = json.loads(load_sweep("demo").model_dump_json(exclude_defaults=True))
    spec["settings"] |= {"training.steps": 6, "training.validate_every": 3, "training.checkpoint_every": 3}
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump(spec))
    return str(path)


if __name__ == "__main__":
    main()
