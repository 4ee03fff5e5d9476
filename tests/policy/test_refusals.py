"""Every code that a scan can be refused with stands in the reference, and the reference names no other."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference" / "refusals.md"
SOURCES = [
    path for room in ("platform/osteon/core", "storage", "serve") for path in sorted((ROOT / room).rglob("*.py"))
]
CODE_FIRST = {"BadScan", "Fault"}  # constructors whose first argument is a code


def _codes(source: Path) -> set[str]:
    calls = [node for node in ast.walk(ast.parse(source.read_text("utf-8"))) if isinstance(node, ast.Call)]
    named = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id in CODE_FIRST and call.args]
    return {call.args[0].value for call in named if isinstance(call.args[0], ast.Constant)}  # type: ignore[misc]


def _listed() -> set[str]:
    return set(re.findall(r"^\| `([a-z-]+)` \|", REFERENCE.read_text("utf-8"), re.M))


def test_every_code_is_explained() -> None:
    used = set().union(*map(_codes, SOURCES))
    assert {"missing-slice", "hu-range", "sheared-affine"} <= used  # or else they are raised in another way by now
    assert used - _listed() == set()


def test_no_code_is_explained_that_nobody_uses() -> None:
    spoken = "\n".join(path.read_text("utf-8") for path in SOURCES)
    assert {code for code in _listed() if f'"{code}"' not in spoken} == set()
