import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from osteon.cli.phantom import phantom
from osteon.core.errors import BadInput
from osteon.data.phantom import QUIRKS

app = typer.Typer()
app.command()(phantom)


def test_json_lists_the_files_and_nothing_else(tmp_path: Path) -> None:
    result = CliRunner().invoke(
        app, [str(tmp_path / "p"), "--cases", "2", "--format", "dicom", "--quirks", "rle", "--json"]
    )

    assert result.exit_code == 0
    listed = json.loads(result.stdout)
    assert [case["case_id"] for case in listed] == ["phantom-000", "phantom-001"]
    assert all(Path(case["scan"]).is_dir() and Path(case["labels"]).is_file() for case in listed)
    assert {case["quirk"] for case in listed} == {"rle"}


def test_without_json_one_line_says_what_was_made(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "p"), "--cases", "1", "--seed", "5"])

    assert result.exit_code == 0
    assert result.stdout.strip() == f"{tmp_path / 'p'}: 1 phantoms of 6 bones, seed 5"


@pytest.mark.parametrize("arguments", [["--bones", "7"], ["--cases", "0"], ["--quirks", "wavy", "--format", "dicom"]])
def test_a_wrong_argument_is_a_refusal(arguments: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(app, [str(tmp_path / "p"), *arguments])

    assert isinstance(result.exception, BadInput)
    assert not (tmp_path / "p").exists()


def test_help_names_every_quirk() -> None:
    shown = " ".join(CliRunner().invoke(app, ["--help"], env={"COLUMNS": "300"}).stdout.split())

    assert all(name in shown for name in QUIRKS)
