"""From a job's arguments to a command line, checked by the command itself, so that nothing is written twice.

What a value is — a place, a file of settings — is told by the command, too: by the name that its help gives it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from typer.core import TyperArgument, TyperGroup, TyperOption
from typer.exceptions import TyperException

from osteon.core.errors import BadInput

PLACES = {"DATASET", "OUT", "RUN", "URL", "URI", "DIR", "MODEL", "LABELS", "SOURCE..."}
RECIPE, SWEEP = "RECIPE", "SWEEP"  # a packaged name, or a file

Value = str | Sequence[str]


@dataclass(frozen=True)
class CommandLine:
    """A checked command line.

    Attributes:
        words: without ``osteon``; files that go along are named by where they will lie.
        files: their contents by that path.
    """

    words: tuple[str, ...]
    files: Mapping[str, bytes]


def local_words(root: TyperGroup, kind: str, arguments: Mapping[str, Value]) -> tuple[str, ...]:
    """The command line to run a job on this machine.

    Args:
        root: the `osteon` command.
        kind: name of one of its commands.
        arguments: its options and arguments by name, with dashes or underscores; flags are true or false.

    Raises:
        BadInput: ``bad-job`` with the key.
    """
    command = _command(root, kind)
    by_key = {_key(parameter): parameter for parameter in command.params}
    given = {key.replace("_", "-"): value for key, value in arguments.items()}
    for key in given:
        if key not in by_key:
            raise _bad(key, f"{kind} has no such argument", f"it has {', '.join(by_key)}")
    words = [word for key in by_key if key in given for word in _words(key, by_key[key], given[key])]
    _check(command, kind, words)
    return (kind, *words)


def cluster_words(root: TyperGroup, kind: str, arguments: Mapping[str, Value]) -> CommandLine:
    """The command line to run a job elsewhere; small files of settings go along, other paths must hold there.

    Raises:
        BadInput: ``bad-job``, ``here-only``, or what is wrong with a file.
    """
    local_words(root, kind, arguments)
    there: dict[str, Value] = {}
    files: dict[str, bytes] = {}
    overrides = arguments.get("set", ())
    for parameter in _command(root, kind).params:
        key = _key(parameter)
        value = arguments.get(key, arguments.get(key.replace("-", "_")))
        if value is None:
            continue
        taken = _files(parameter, value, (overrides,) if isinstance(overrides, str) else overrides)
        there[key] = f"{key}/{PurePath(str(value)).name}" if taken else _place(parameter, value)
        files |= {f"{key}/{path}": content for path, content in taken.items()}
    return CommandLine(local_words(root, kind, there), files)


def _command(root: TyperGroup, kind: str) -> Any:
    command = root.commands[kind]
    return command.commands["run"] if isinstance(command, TyperGroup) else command


def _key(parameter: Any) -> str:
    """What a job's file calls a parameter: as its command's help does."""
    if isinstance(parameter, TyperArgument):
        return (parameter.metavar or parameter.name or "").rstrip(".").lower()
    long: str = next(option for option in parameter.opts if option.startswith("--"))
    return long.removeprefix("--")


def _words(key: str, parameter: Any, value: Value) -> list[str]:
    """A value as it stands on a command line."""
    if getattr(parameter, "is_flag", False):
        if value not in ("true", "false"):
            raise _bad(key, f"{value!r} is neither true nor false")
        return [f"--{key}"] if value == "true" else []
    if isinstance(value, str):
        values: Sequence[str] = (value,)
    elif parameter.nargs == -1 or parameter.multiple:
        values = value
    else:
        raise _bad(key, "it takes one value, not a list")
    is_option = isinstance(parameter, TyperOption)
    return [f"--{key}={each}" if is_option else each for each in values]


def _check(command: Any, kind: str, words: Sequence[str]) -> None:
    """Let the command read its words, without running it."""
    try:
        command.make_context(kind, list(words))
    except TyperException as error:
        parameter = getattr(error, "param", None)
        key = _key(parameter) if parameter is not None else kind
        raise _bad(key, error.format_message().rstrip(".")) from None


def _files(parameter: Any, value: Value, overrides: Sequence[str]) -> dict[str, bytes]:
    """Files of this machine that a value names and that go along, by where they will lie in a folder of their own."""
    from osteon.jobs.submit_files import recipe_files, sweep_files

    if not isinstance(value, str):
        return {}
    if parameter.metavar == RECIPE:
        return recipe_files(value, overrides)
    if parameter.metavar == SWEEP:
        return sweep_files(value)
    path = Path(value)
    return {path.name: path.read_bytes()} if path.suffix == ".json" and path.is_file() else {}


def _place(parameter: Any, value: Value) -> Value:
    """The value, if it means the same on every machine."""
    is_place = parameter.metavar in PLACES or parameter.type_descriptor.annotation is Path
    for each in (value,) if isinstance(value, str) else value:
        if is_place and "://" not in each and not PurePath(each).is_absolute():
            remedy = "give s3://bucket/prefix or an absolute path that every node sees, or run it here with --local"
            raise BadInput("here-only", f"{each!r} is a path of this machine", where=_where(parameter), remedy=remedy)
    return value


def _where(parameter: Any) -> str:
    return f"arguments.{_key(parameter)}"


def _bad(key: str, what: str, remedy: str = "") -> BadInput:
    return BadInput("bad-job", what, where=f"arguments.{key}", remedy=remedy)
