"""The command line as a person meets it: help, version, one line for every error, a traceback only when asked."""

import subprocess
import sys

import pytest


def _osteon(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "osteon.cli.main", *words], capture_output=True, text=True, timeout=120, check=False
    )


def test_version_and_help_start_fast_and_load_no_engine() -> None:
    code = (
        "import sys; sys.argv = ['osteon', '--version']\n"
        "from osteon.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "print(sorted({'ray', 'torch', 'dask', 'tensorstore'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("osteon 0.")
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("words", [("--help",), ("ingest", "--help"), ("recipes", "--help")])
def test_help(words: tuple[str, ...]) -> None:
    done = _osteon(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_a_refusal_is_one_line_with_its_code_and_exit_2() -> None:
    done = _osteon("cases", "/nowhere/dataset")
    assert done.returncode == 2
    assert done.stderr.startswith("osteon: ")
    assert done.stderr.count("\n") == 1
    assert "[no-dataset]" in done.stderr


@pytest.mark.parametrize("place", [0, 2])
def test_debug_shows_the_traceback_wherever_it_stands(place: int) -> None:
    words = ["cases", "/nowhere/dataset"]
    words.insert(place, "--debug")
    assert "Traceback" in _osteon(*words).stderr


def test_an_unknown_option_is_a_usage_error() -> None:
    done = _osteon("cases", "--colour")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
