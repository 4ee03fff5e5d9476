"""Rooms import only downwards: the contracts of pyproject.toml, checked with the tool that `make check` runs."""

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


def _lint(config: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    command = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert command is not None, "import-linter is not installed beside this Python: pip install -e .[dev]"
    return subprocess.run(
        [command, "--config", str(config), "--cache-dir", str(cache)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_contracts_hold(tmp_path: Path) -> None:
    done = _lint(REPOSITORY / "pyproject.toml", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


@pytest.mark.slow
def test_a_broken_contract_is_noticed(tmp_path: Path) -> None:
    """The command line does use the jobs: forbidding that must fail, or the check checks nothing."""
    config = tmp_path / "importlinter.toml"
    config.write_text(
        "[tool.importlinter]\n"
        'root_packages = ["osteon.core", "osteon.cli"]\n'
        "[[tool.importlinter.contracts]]\n"
        'name = "never true"\n'
        'type = "forbidden"\n'
        'source_modules = ["osteon.cli"]\n'
        'forbidden_modules = ["osteon.core"]\n'
    )
    done = _lint(config, tmp_path)
    assert done.returncode != 0
    assert "1 broken" in done.stdout


def test_every_room_is_in_the_contracts() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]
    rooms = {f"osteon.{path.parent.name}" for path in REPOSITORY.glob("*/osteon/*/__init__.py")}
    assert set(settings["root_packages"]) == rooms
