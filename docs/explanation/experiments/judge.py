"""Compares labels that `osteon segment` wrote with those of a dataset: python judge.py DATASET FOLDER_OF_ZARR REPORT.

A case without labels in the folder counts as one where nothing was found.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from osteon.core.labels import LabelTable
from osteon.evaluation.metrics import compare_labels
from osteon.evaluation.report import write_report
from osteon.evaluation.scores import CaseScores
from osteon.evaluation.summary import summarise
from osteon.storage.case import StoredCase, open_case
from osteon.storage.dataset import Dataset


def score(case: StoredCase, found: Path, table: LabelTable) -> CaseScores:
    """Of one case, on the scan's own grid."""
    reference = case.labels().read((0, 0, 0), case.grid.shape).result()
    prediction = np.zeros_like(reference)
    if found.exists():
        prediction = open_case(str(found)).labels().read((0, 0, 0), case.grid.shape).result()
    return compare_labels(prediction, reference, case.grid, table, case_id=case.case_id)


def main(url: str, folder: str, out: str, *case_ids: str) -> None:
    """Scores of the named cases, as a report that `osteon compare` reads."""
    dataset = Dataset.open(url)
    scores = [score(dataset.case(name), Path(folder, f"{name}.zarr"), dataset.table) for name in case_ids]
    write_report(summarise(scores), {}, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
