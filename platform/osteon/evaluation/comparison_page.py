"""A comparison as files: ``comparison.json`` for programs, and one ``comparison.html`` for people."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from osteon.core.errors import BadInput, CorruptData
from osteon.evaluation.comparison import Comparison
from osteon.evaluation.outputs import check_absent
from osteon.evaluation.page import render
from osteon.evaluation.pictures import PLANES
from osteon.evaluation.report import REPORT_JSON, picture_key
from osteon.evaluation.summary import Report
from osteon.storage.stores import open_store

COMPARISON_JSON = "comparison.json"
COMPARISON_HTML = "comparison.html"
MAX_PICTURED_CASES = 12  # those that the systems differ on most


@dataclass(frozen=True)
class Evaluation:
    """What `osteon evaluate` left in a folder.

    Attributes:
        url: the folder.
        report: its numbers.
    """

    url: str
    report: Report


def read_evaluation(url: str) -> Evaluation:
    """The evaluation in a folder or at a URL.

    Raises:
        BadInput: ``no-report`` if there is none.
        CorruptData: ``bad-report`` if it cannot be read.
    """
    try:
        data = open_store(url).read_bytes(REPORT_JSON)
    except FileNotFoundError as error:
        raise BadInput(
            "no-report", f"there is no {REPORT_JSON}", where=url, remedy="give folders that osteon evaluate wrote"
        ) from error
    try:
        return Evaluation(url, Report.model_validate_json(data))
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise CorruptData("bad-report", f"{REPORT_JSON} is damaged at {place!r}", where=url) from error


def name_systems(evaluations: Sequence[Evaluation]) -> dict[str, Evaluation]:
    """Evaluations by the name of their recipe; where two have one name, the last part of their URLs is added."""
    names = [each.report.facts.recipe if each.report.facts else _last(each.url) for each in evaluations]
    named: dict[str, Evaluation] = {}
    for name, each in zip(names, evaluations, strict=True):
        unique = name if names.count(name) == 1 else f"{name} ({_last(each.url)})"
        if unique in named:
            raise BadInput("same-run", f"{unique} is named twice", where=each.url, remedy="name every evaluation once")
        named[unique] = each
    return named


def write_comparison(comparison: Comparison, evaluations: dict[str, Evaluation], out: str) -> None:
    """Write both files into a folder or a prefix of an object store.

    Raises:
        Conflict: ``comparison-exists`` if there is one already.
    """
    check_absent(out, COMPARISON_JSON, code="comparison-exists")
    store = open_store(out)
    store.write_bytes(COMPARISON_HTML, render_comparison(comparison, _pictures(comparison, evaluations)).encode())
    store.write_bytes(COMPARISON_JSON, comparison.model_dump_json(indent=1).encode())


def render_comparison(comparison: Comparison, pictures: dict[str, dict[str, list[str]]]) -> str:
    """The whole page; ``pictures`` are data URIs by case, then by system."""
    return render("comparison.html.j2", comparison=comparison, pictures=pictures)


def _pictures(comparison: Comparison, evaluations: dict[str, Evaluation]) -> dict[str, dict[str, list[str]]]:
    """Of the cases that the systems differ on most, in the order of the cases."""
    gaps = {case_id: _gap(case_id, evaluations) for case_id in comparison.cases}
    chosen = sorted(gaps, key=lambda case_id: -gaps[case_id])[:MAX_PICTURED_CASES]
    found = {}
    for case_id in sorted(chosen):
        planes = {name: _planes(each.url, case_id) for name, each in evaluations.items()}
        if all(planes.values()):
            found[case_id] = planes
    return found


def _gap(case_id: str, evaluations: dict[str, Evaluation]) -> float:
    means = [
        case.scores.dsc.mean or 0.0
        for each in evaluations.values()
        for case in each.report.cases
        if case.case_id == case_id
    ]
    return max(means) - min(means)


def _planes(url: str, case_id: str) -> list[str]:
    """Data URIs of a case's pictures; none if the evaluation left none."""
    store = open_store(url)
    try:
        data = [store.read_bytes(picture_key(case_id, plane)) for plane in PLANES]
    except FileNotFoundError:
        return []
    return [f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}" for png in data]


def _last(url: str) -> str:
    return url.rstrip("/").rpartition("/")[2]
