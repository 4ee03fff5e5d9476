"""The progress line: seen when asked for, absent when a machine reads."""

import pytest

from osteon.telemetry.progress import progress_bar


def test_a_shown_bar_counts_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Working", total=2) as bar:
        bar.advance()
        bar.advance(note="nearly")
    output = capsys.readouterr()
    assert output.out == ""
    assert "Working" in output.err
    assert "2/2" in output.err
    assert "nearly" in output.err


def test_a_silent_bar_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("Working", total=2, shown=False) as bar:
        bar.advance(2, note="unseen")
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", "")
