"""What a sweep found, read from its folder: a table of every bone for programs, a page for people."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq

from osteon.evaluation.sweep import CurvePoint, SweepReport, TestResult, TrialResult, results_rows, summarise_sweep
from osteon.evaluation.sweep_page import render_sweep
from osteon.jobs.run_folder import RunFolder
from osteon.jobs.sweep_folder import PAGE, RESULTS, SUMMARY, SweepFolder, SweepRecord, TrialKey
from osteon.jobs.sweep_plan import recipe_of
from osteon.recipes.space import Configuration


def trials_of(folder: SweepFolder, record: SweepRecord) -> list[TrialResult]:
    """The trials that are over, configuration by configuration."""
    found = []
    for configuration in folder.configurations():
        for key in record.keys(configuration.id):
            trial = _trial(folder, record, configuration, key)
            if trial is not None:
                found.append(trial)
    return found


def summary_of(folder: SweepFolder, record: SweepRecord) -> SweepReport:
    """The sweep judged, as far as it is."""
    return summarise_sweep(record.spec.name, tuple(record.spec.space), trials_of(folder, record), None)


def write_results(folder: SweepFolder, record: SweepRecord, test: TestResult | None) -> SweepReport:
    """Write ``results.parquet``, ``sweep.html`` and ``summary.json``; the last of them."""
    trials = trials_of(folder, record)
    report = summarise_sweep(record.spec.name, tuple(record.spec.space), trials, test)
    table = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(results_rows(trials)), table, compression="zstd")
    folder.store.write_bytes(RESULTS, table.getvalue())
    folder.store.write_bytes(PAGE, render_sweep(report).encode())
    folder.store.write_bytes(SUMMARY, report.model_dump_json(indent=1).encode())
    return report


def _trial(folder: SweepFolder, record: SweepRecord, configuration: Configuration, key: TrialKey) -> TrialResult | None:
    outcome = folder.outcome(key)
    if outcome is None:
        return None
    run = folder.run(key)
    curve = curve_of(run)
    return TrialResult(
        configuration=configuration.id,
        values=configuration.labels,
        recipe=recipe_of(record.spec, configuration).name,
        fold=key.fold,
        repeat=key.repeat,
        status=outcome.status,
        error=outcome.error,
        dice=outcome.dice,
        steps=curve[-1].step if curve else 0,
        seconds=outcome.seconds,
        cpus=outcome.cpus,
        gpus=outcome.gpus,
        curve=curve,
        report=folder.report(key) if outcome.status == "done" else None,
    )


def curve_of(run: RunFolder) -> tuple[CurvePoint, ...]:
    """Loss and validation Dice of a run, by step."""
    return tuple(CurvePoint(step=line["step"], loss=line.get("loss"), dice=line.get("dice")) for line in run.metrics())
