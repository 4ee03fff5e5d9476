import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import typer
from typer.testing import CliRunner

from osteon.cli.synthesise import synthesise
from osteon.core.errors import BadInput

app = typer.Typer()
app.command()(synthesise)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    folder = tmp_path / "masks"
    folder.mkdir()
    for name, x in (("hip_left", 24), ("hip_right", 6)):
        mask = np.zeros((16, 16, 36), np.uint8)
        mask[3:12, 4:12, x : x + 6] = 1
        image = sitk.GetImageFromArray(mask)
        image.SetSpacing((8.0, 8.0, 8.0))
        sitk.WriteImage(image, str(folder / f"{name}.nii.gz"))
    return folder


def _run(*arguments: str) -> tuple[int, str, BaseException | None]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.exception


def test_json_lists_the_cases(masks: Path, tmp_path: Path) -> None:
    code, out, _ = _run(
        str(masks), str(tmp_path / "d"), "--cases", "2", "--spacing-mm", "8", "--workers", "1", "--json"
    )

    summary = json.loads(out)
    assert code == 0
    assert [case["status"] for case in summary["cases"]] == ["written", "written"]
    assert summary["bones"] == ["hip_left", "hip_right"]


def test_without_json_one_line_says_what_was_made(masks: Path, tmp_path: Path) -> None:
    arguments = (str(masks), str(tmp_path / "d"), "--cases", "1", "--spacing-mm", "9,8,8", "--workers", "1")
    _run(*arguments)
    code, out, _ = _run(*arguments)

    assert code == 0
    assert len(out.splitlines()) == 1
    assert "0 scans written, 1 skipped, 2 bones, seed 0" in out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--spacing-mm", "thin"], "synthesis-spacing"),
        (["--spacing-mm", "1,2"], "synthesis-spacing"),
        (["--spacing-mm", "0"], "synthesis-spacing"),
        (["--cases", "0"], "synthesis-cases"),
        (["--bones", "skull"], "unknown-bone"),
        (["--merge", "hip_left"], "bad-merge"),
    ],
)
def test_a_wrong_argument_is_a_refusal_in_one_line(
    masks: Path, tmp_path: Path, arguments: list[str], code: str
) -> None:
    _, _, error = _run(str(masks), str(tmp_path / "d"), *arguments)

    assert isinstance(error, BadInput)
    assert error.code == code
    assert "\n" not in str(error)
    assert not (tmp_path / "d").exists()


def test_labels_that_are_not_there_are_a_refusal(tmp_path: Path) -> None:
    _, _, error = _run(str(tmp_path / "absent"), str(tmp_path / "d"))

    assert isinstance(error, BadInput)
    assert error.code == "no-source"
