"""Pages for people: one file that holds its styles and pictures; no script, no font, no request to anywhere.

Templates lie beside this module; numbers come to them formatted as people quote them.
"""

from __future__ import annotations

import base64
from importlib import resources

from jinja2 import Environment, FunctionLoader, StrictUndefined

from osteon.core.labels import Label

THIN_SPACE = "\u202f"
MINUS = "\u2212"
UNDEFINED = "\u2013"


def render(template: str, **values: object) -> str:
    """The page of a template, by its file name."""
    environment = Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    formats = {
        "score": format_score,
        "mm": format_mm,
        "signed_percent": format_signed_percent,
        "signed_score": format_signed_score,
        "signed_count": format_signed_count,
    }
    environment.globals |= formats
    environment.filters |= formats | {
        "tolerance": "{:g}".format,
        "percent": format_percent,
        "count": format_count,
        "duration": format_duration,
        "bone": format_bone,
        "colour": _colour,
        "data_uri": _data_uri,
    }
    return environment.get_template(template).render(**values)


def _source(name: str) -> str:
    return resources.files("osteon.evaluation").joinpath(name).read_text("utf-8")


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


def format_signed_score(value: float | None) -> str:
    """A difference of shares with three decimals and its sign."""
    return UNDEFINED if value is None else f"{_sign(value, 0.0005)}{abs(value):.3f}"


def format_signed_percent(value: float | None) -> str:
    """A relative error in per cent, with its sign."""
    return UNDEFINED if value is None else f"{_sign(value, 0.0005)}{abs(100 * value):.1f}{THIN_SPACE}%"


def format_duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever needs no large number."""
    if seconds < 100:
        return f"{seconds:.0f}{THIN_SPACE}s"
    return f"{seconds / 60:.1f}{THIN_SPACE}min" if seconds < 6000 else f"{seconds / 3600:.1f}{THIN_SPACE}h"


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
