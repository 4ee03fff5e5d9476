from pathlib import Path

import pytest

from osteon.core.errors import Conflict
from osteon.evaluation.outputs import check_absent


def test_a_place_without_the_files_is_free(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    check_absent(str(tmp_path), "report.json", "report.html", code="report-exists")
    check_absent(str(tmp_path / "new"), "report.json", code="report-exists")


def test_any_of_the_files_refuses_it(tmp_path: Path) -> None:
    (tmp_path / "report.html").touch()
    with pytest.raises(Conflict, match=r"there is a report\.html already \[report-exists\] — choose another --out"):
        check_absent(str(tmp_path), "report.json", "report.html", code="report-exists")
