"""What only a local folder can meet: a temporary file swept away by another writer."""

from pathlib import Path

import pytest

from osteon.storage.folder import Folder


@pytest.mark.parametrize("step", ["hardlink_to", "replace"])
def test_a_write_whose_temporary_file_is_swept_is_begun_again(
    step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder(tmp_path)
    swept: list[bool] = []
    original = getattr(Path, step)

    def sweep_first(self: Path, target: Path) -> object:
        if not swept:
            swept.append(True)
            folder.sweep("case")
        return original(self, target)

    monkeypatch.setattr(Path, step, sweep_first)
    if step == "hardlink_to":
        assert folder.create("case/zarr.json", b"whole")
    else:
        folder.write("case/zarr.json", b"whole")
    assert swept
    assert folder.read("case/zarr.json") == b"whole"
