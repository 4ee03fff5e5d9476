"""`osteon serve-key`: prints a key that opens, once, and keeps it nowhere."""

import json
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from osteon.cli.main import run
from osteon.cli.serve_key import serve_key
from osteon.core.errors import BadInput
from osteon.serve.keys import KeyFile

app = typer.Typer()
app.command()(serve_key)


def test_the_key_that_is_printed_opens(tmp_path: Path) -> None:
    path = tmp_path / "keys.yaml"
    done = CliRunner().invoke(app, ["pacs", "--keys", str(path)])
    secret = done.stdout.strip()
    caller = KeyFile(path).find(secret)
    assert caller is not None
    assert (caller.name, sorted(caller.roles)) == ("pacs", ["read", "segment"])
    assert secret not in path.read_text() + done.stderr


def test_machines_get_json(tmp_path: Path) -> None:
    arguments = ["pacs", "--keys", str(tmp_path / "keys.yaml"), "--roles", "admin", "--json"]
    made = json.loads(CliRunner().invoke(app, arguments).stdout)
    assert (made["name"], made["roles"]) == ("pacs", ["admin"])
    assert KeyFile(tmp_path / "keys.yaml").find(made["key"]) is not None


@pytest.mark.parametrize("roles", ["", "root", "read,root", "read,read"])
def test_roles_that_are_none_make_no_key(tmp_path: Path, roles: str) -> None:
    done = CliRunner().invoke(app, ["pacs", "--keys", str(tmp_path / "keys.yaml"), "--roles", roles])
    assert isinstance(done.exception, BadInput)
    assert not (tmp_path / "keys.yaml").exists()


def test_it_is_a_command_of_osteon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "keys.yaml")
    for code in (0, 2):
        monkeypatch.setattr(sys, "argv", ["osteon", "serve-key", "pacs", "--keys", path])
        with pytest.raises(SystemExit) as stop:
            run()
        assert stop.value.code == code
    assert "key-exists" in capsys.readouterr().err
