"""Every `osteon` and `make` command that the documents show exists, with the options they show."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup

from osteon.cli.main import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs").rglob("*.sh"))]


def _blocks(document: Path) -> str:
    text = document.read_text("utf-8")
    return text if document.suffix == ".sh" else "\n".join(re.findall(r"^```[^\n]*\n(.*?)^```", text, re.M | re.S))


def _lines(document: Path, program: str) -> list[list[str]]:
    joined = _blocks(document).replace("\\\n", " ")
    found = re.findall(rf"^(?:\$ )?(?:[A-Z_]+=\S+ )*({program} .*)$", joined, re.M)
    return [shlex.split(line, comments=True)[1:] for line in found]


def _command(root: TyperGroup, words: list[str]) -> Any:
    """What the words name: a command, or a command of a group."""
    command = root.commands.get(words[0])
    if not isinstance(command, TyperGroup):
        return command
    return command.commands.get(words[1], command.commands.get("run", command)) if len(words) > 1 else command


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_osteon_commands_exist(document: Path) -> None:
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    for words in _lines(document, "osteon"):
        command, options = _command(root, words), [word for word in words if word.startswith("--")]
        assert command is not None or words[0].startswith("-"), words
        known = {option for parameter in (command or root).params for option in (*parameter.opts, "--help", "--debug")}
        assert {option.partition("=")[0] for option in options} <= known, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    for words in _lines(document, "make"):
        assert {word for word in words if re.fullmatch(r"[a-z-]+", word)} <= targets, words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
        if "://" not in link:
            assert (document.parent / link).exists(), link


def test_the_readme_shows_commands() -> None:
    """The tests above would pass on a README without any."""
    assert len(_lines(ROOT / "README.md", "osteon")) >= 5
    assert ["demo"] in _lines(ROOT / "README.md", "make")
    assert ["test"] in _lines(ROOT / "README.md", "make")
