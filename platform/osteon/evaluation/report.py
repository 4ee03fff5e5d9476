"""The report as files: ``report.json`` for programs, and one ``report.html`` for people that needs nothing else.

The page holds its styles, its chart (SVG) and its pictures (data URIs); no script, no font, no request to anywhere.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from importlib import resources

from jinja2 import Environment, StrictUndefined

from osteon.core.errors import Conflict
from osteon.core.labels import Label
from osteon.evaluation.pictures import Picture
from osteon.evaluation.summary import Report
from osteon.storage.stores import open_store

REPORT_JSON = "report.json"
REPORT_HTML = "report.html"
MAX_PICTURED_CASES = 40  # the worst ones; more pictures make a page that no browser likes
MAX_NAMED = 12  # cases and bones that the box at the top names of each kind
THIN_SPACE = "\u202f"
MINUS = "\u2212"
UNDEFINED = "\u2013"


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
    store.write_bytes(REPORT_HTML, render_html(report, pictures).encode())
    store.write_bytes(REPORT_JSON, report.model_dump_json(indent=1).encode())


def check_free(out_dir: str) -> None:
    """Refuse a place that holds a report already, before hours are spent on another.

    Raises:
        Conflict: ``report-exists``.
    """
    store = open_store(out_dir)
    for name in (REPORT_JSON, REPORT_HTML):
        if store.exists(name):
            raise Conflict(
                "report-exists",
                f"there is a {name} already",
                where=out_dir,
                remedy="choose another --out, or remove it",
            )


def render_html(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> str:
    """The whole page."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {
        "score": format_score,
        "mm": format_mm,
        "tolerance": "{:g}".format,
        "percent": format_percent,
        "signed_percent": format_signed_percent,
        "count": format_count,
        "signed_count": format_signed_count,
        "bone": format_bone,
        "colour": _colour,
        "data_uri": _data_uri,
    }
    environment.globals |= {
        "score": format_score,
        "mm": format_mm,
        "signed_percent": format_signed_percent,
        "signed_count": format_signed_count,
    }
    template = environment.from_string(
        resources.files("osteon.evaluation").joinpath("report.html.j2").read_text("utf-8")
    )
    return template.render(report=report, pictured=_worst(report, pictures), pictures=pictures, max_named=MAX_NAMED)


def format_score(value: float | None) -> str:
    """A share as people quote Dice: three decimals; never rounded up to a perfect one."""
    if value is None:
        return UNDEFINED
    return f"{value:.3f}" if value >= 1 or round(value, 3) < 1 else "0.999"


def format_mm(value: float | None) -> str:
    """Millimetres with two decimals below ten, one above."""
    if value is None:
        return UNDEFINED
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def format_percent(value: float | None) -> str:
    """A share in per cent; what is neither none nor all never looks so."""
    if value is None:
        return UNDEFINED
    if 0 < value < 0.001:
        return f"< 0.1{THIN_SPACE}%"
    if 0.999 < value < 1:
        return f"> 99.9{THIN_SPACE}%"
    return f"{100 * value:.{1 if 0 < value < 1 else 0}f}{THIN_SPACE}%"


def format_signed_percent(value: float | None) -> str:
    """A relative error in per cent, with its sign."""
    return UNDEFINED if value is None else f"{_sign(value, 0.0005)}{abs(100 * value):.1f}{THIN_SPACE}%"


def format_count(value: float) -> str:
    """A whole number in groups of three."""
    return f"{value:,.0f}".replace(",", THIN_SPACE)


def format_signed_count(value: float | None) -> str:
    """A whole number in groups of three, with its sign."""
    return UNDEFINED if value is None else f"{_sign(value, 0.5)}{format_count(abs(value))}"


def format_bone(name: str) -> str:
    """A bone's name as words."""
    return name.replace("_", " ")


def _sign(value: float, smallest: float) -> str:
    """Nothing before what is rounded to zero."""
    if abs(value) < smallest:
        return ""
    return "+" if value > 0 else MINUS


def _colour(bone: Label) -> str:
    red, green, blue, _ = bone.rgba
    return f"rgb({red} {green} {blue})"


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"


def _worst(report: Report, pictures: Mapping[str, Sequence[Picture]]) -> list[str]:
    """The pictured cases in the report's order; if they are too many, those with the lowest mean Dice."""
    shown = [case for case in report.cases if case.case_id in pictures]
    by_dice = sorted(shown, key=lambda case: case.scores.dsc.mean or 0.0)
    kept = {case.case_id for case in by_dice[:MAX_PICTURED_CASES]}
    return [case.case_id for case in shown if case.case_id in kept]
