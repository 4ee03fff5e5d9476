"""Fixtures that several rooms share: the folder of real scans."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real scans; tests that use it carry the mark ``realdata``."""
    folder = Path(os.environ.get("OSTEON_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real scans at {folder}; set OSTEON_TEST_DATA")
    return folder
