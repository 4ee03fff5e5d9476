"""What an ingest means to do, before it does anything: which cases under which ids. Reads no voxel."""

from __future__ import annotations

import json
from collections import defaultdict

from osteon.core.errors import BadInput, BadScan, OsteonError
from osteon.jobs.ingest_summary import CaseOutcome, IngestSummary
from osteon.storage.importers import ImportPlan
from osteon.storage.readers import Rejected
from osteon.storage.stores import Store

SPLITS_KEY = "splits.json"
NO_VOLUMES = ("localizer", "secondary-capture", "not-ct")  # lie beside scans everywhere and are nobody's loss


def check_plan(plan: ImportPlan) -> None:
    """Refuse a plan that is empty, or in which two sources would become one case.

    Raises:
        OsteonError: ``no-scans``.
        BadInput: ``same-id``.
    """
    if not plan.cases:
        raise OsteonError("no-scans", "nothing was found that could be a scan", remedy="check the path and --layout")
    places = defaultdict(list)
    for case in plan.cases:
        if not isinstance(case, Rejected) and case.case_id is not None:
            places[case.case_id].append(case.scan.files[0])
    for case_id, paths in places.items():
        if len(paths) > 1:
            raise BadInput(
                "same-id",
                f"{len(paths)} sources would become case {case_id!r}: {', '.join(paths[:3])}",
                remedy="ingest them one by one into datasets of their own, or rename one",
            )


def preview(plan: ImportPlan, dataset_url: str) -> IngestSummary:
    """What an ingest of this plan would try; ids that follow from the source's digest are left open."""
    outcomes = []
    for case in plan.cases:
        if not isinstance(case, Rejected):
            outcomes.append(CaseOutcome(case_id=case.case_id or "", status="planned", source=case.scan.files[0]))
            continue
        outcomes.append(set_aside(case))
    return IngestSummary(dataset=dataset_url, layout=plan.layout, cases=tuple(outcomes), notes=plan.notes)


def set_aside(found: Rejected, case_id: str = "") -> CaseOutcome:
    """The outcome of what is no case: ignored if it is no volume at all, else quarantined under ``case_id``."""
    error = BadScan(found.code, found.reason)
    if found.code in NO_VOLUMES:
        return CaseOutcome.refused("ignored", "", found.where, error)
    return CaseOutcome.refused("quarantined", case_id, found.where, error)


def keep_splits(dataset: Store, plan: ImportPlan) -> None:
    """Write the source's own cross-validation folds to ``splits.json``, as nnU-Net writes them."""
    if plan.splits is not None:
        folds = [{"train": list(fold.train), "val": list(fold.val)} for fold in plan.splits]
        dataset.write_bytes(SPLITS_KEY, json.dumps(folds, indent=1).encode())
