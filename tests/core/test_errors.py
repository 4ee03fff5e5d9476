"""Errors survive the trip between processes and read as one line."""

import pickle

from osteon.core.errors import BadScan


def test_one_line_with_place_code_and_remedy() -> None:
    error = BadScan("missing-slice", "2 slices are missing", where="scan/", remedy="use --allow-gaps")
    assert str(error) == "scan/: 2 slices are missing [missing-slice] — use --allow-gaps"
    assert str(error.at("other/")) == "other/: 2 slices are missing [missing-slice] — use --allow-gaps"


def test_errors_cross_processes() -> None:
    error = pickle.loads(pickle.dumps(BadScan("code", "what", where="where", remedy="remedy")))
    assert isinstance(error, BadScan)
    assert (error.code, error.what, error.where, error.remedy) == ("code", "what", "where", "remedy")
