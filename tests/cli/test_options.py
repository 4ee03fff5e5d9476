from pathlib import Path

import pytest

from osteon.cli.options import check_new_file, split_names
from osteon.core.errors import BadInput


def test_names_stand_between_commas() -> None:
    assert split_names("s0001, s0002,,") == ("s0001", "s0002")
    assert split_names("") == ()


def test_a_file_that_is_there_is_refused(tmp_path: Path) -> None:
    check_new_file(tmp_path / "new.yaml")
    (tmp_path / "old.yaml").touch()
    with pytest.raises(BadInput, match=r"old\.yaml: there is a file already \[file-exists\]"):
        check_new_file(tmp_path / "old.yaml")
