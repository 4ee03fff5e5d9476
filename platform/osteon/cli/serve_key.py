"""`osteon serve-key`: lets somebody in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from osteon.cli.options import split_names
from osteon.core.errors import BadInput


def serve_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whom the key is for; segmentations belong to the name.")],
    keys: Annotated[Path, typer.Option("--keys", help="The file of keys; made if there is none.")] = Path("keys.yaml"),
    roles: Annotated[str, typer.Option(metavar="A,B", help="What it opens: segment, read, admin.")] = "segment,read",
    again: Annotated[bool, typer.Option("--again", help="A second key for a name, to replace the first.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print name, roles and key for machines.")] = False,
) -> None:
    """Make a key for a server and print it, once: the file keeps only its hash."""
    from osteon.serve.callers import ROLES
    from osteon.serve.keys import add_key

    wanted = split_names(roles)
    given = frozenset(role for role in ROLES if role in wanted)
    if not given or len(given) != len(wanted):
        raise BadInput("role", f"{roles!r} are not all roles", remedy=f"give some of {', '.join(ROLES)}")
    secret = add_key(keys, name, given, again=again)
    if as_json:
        typer.echo(json.dumps({"name": name, "roles": sorted(given), "key": secret}))
        return
    typer.echo(secret)
    typer.echo(f"the key of {name}: keep it, nobody can show it again; {keys} has its hash", err=True)
