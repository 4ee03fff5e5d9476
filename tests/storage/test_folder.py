"""What only a local folder can meet: a temporary file swept away by another writer."""

import os
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


def test_the_disk_is_told_of_files_and_then_of_the_folders_that_name_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, synced = Folder(tmp_path / "new" / "store"), list[Path]()
    for key in ("orders/1", "case/c/0/0", "case/zarr.json", "other/2"):
        folder.write(key, b"x")
    monkeypatch.setattr(os, "fsync", lambda opened: synced.append(Path(f"/proc/self/fd/{opened}").readlink()))

    folder.settle(["orders/1", "case"])

    root = folder.root
    cases = {root / "case" / key for key in ("", "c", "c/0", "c/0/0", "zarr.json")}
    assert len(synced) == len(set(synced))
    assert set(synced) == {root.parent, root, root / "orders", root / "orders" / "1", *cases}
    for path in synced:
        assert path.parent not in synced[: synced.index(path)]
