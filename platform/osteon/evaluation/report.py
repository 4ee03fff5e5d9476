"""The report as files: ``report.json`` for programs, ``report.html`` for people, the pictures apart for other pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from osteon.evaluation.outputs import check_absent
from osteon.evaluation.page import render
from osteon.evaluation.pictures import Picture, Plane
from osteon.evaluation.summary import Report
from osteon.storage.stores import open_store

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
MAX_PICTURED_CASES = 40  # the worst ones; more pictures make a page that no browser likes
MAX_NAMED = 12  # cases and bones that the box at the top names of each kind


def write_report(report: Report, pictures: Mapping[str, Sequence[Picture]], out_dir: str) -> None:
    """Write ``report.json`` and ``report.html`` into a folder or a prefix of an object store.

    Args:
        report: what to write.
        pictures: planes by case id; cases without pictures have none in the page either.
        out_dir: path or URL.

    Raises:
        Conflict: ``report-exists`` if there is a report already.
    """
    check_free(out_dir)
    store = open_store(out_dir)
    for case_id, planes in pictures.items():
        for picture in planes:
            store.write_bytes(picture_key(case_id, picture.plane), picture.png)
    store.write_bytes(REPORT_HTML, render_html(report, pictures).encode())
    store.write_bytes(REPORT_JSON, report.model_dump_json(indent=1).encode())


def check_free(out_dir: str) -> None:
    """Refuse a place that holds a report already.

    Raises:
        Conflict: ``report-exists``.
    """
    check_absent(out_dir, REPORT_JSON, REPORT_HTML, code="report-exists")


def picture_key(case_id: str, plane: Plane) -> str:
    """Where a picture lies in the folder of a report."""
    return f"pictures/{case_id}/{plane}.png"


def render_html(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> str:
    """The whole page."""
    return render(
        "report.html.j2", report=report, pictured=_worst(report, pictures), pictures=pictures, max_named=MAX_NAMED
    )


def _worst(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> list[str]:
    """The pictured cases in the report's order; if they are too many, those with the lowest mean Dice."""
    shown = [case for case in report.cases if case.case_id in pictures]
    by_dice = sorted(shown, key=lambda case: case.scores.dsc.mean or 0.0)
    kept = {case.case_id for case in by_dice[:MAX_PICTURED_CASES]}
    return [case.case_id for case in shown if case.case_id in kept]
