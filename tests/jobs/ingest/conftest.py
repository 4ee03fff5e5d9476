"""Tiny scans on disk for the ingest tests, and what to compare datasets by."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

from osteon.storage.manifest import RootDocument
from osteon.storage.stores import open_store

LABELS = {1: "femur_left", 2: "vertebrae_L3"}


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """An empty folder for scans, with the names of the label values."""
    folder = tmp_path / "scans"
    folder.mkdir()
    (folder / "labels.json").write_text(json.dumps(LABELS))
    return folder


@pytest.fixture
def add_scan(scans: Path) -> Callable[..., Path]:
    """Writes a case as the phantom does: ``<id>/ct.nii.gz`` and ``<id>/labels.nii.gz``; gives the scan's path."""

    def add(case_id: str, *, slices: int = 70, side: int = 72, seed: int = 0, suffix: str = ".nii.gz") -> Path:
        folder = scans / case_id
        folder.mkdir()
        bones = np.zeros((slices, side, side - 8), np.uint8)
        bones[slices // 4 : slices // 2, 10:30, 10:30] = 1
        bones[slices // 2 :, 20:40, 20:40] = 2
        rng = np.random.default_rng(seed)
        hu = rng.integers(-1000, 200, bones.shape, dtype=np.int16) + np.int16(900) * (bones > 0)
        _write(folder / f"labels{suffix}", bones)
        return _write(folder / f"ct{suffix}", hu)

    return add


@pytest.fixture
def contents() -> Callable[[str | Path], dict[str, bytes | str]]:
    """Every object of a dataset's cases by key; of root documents the manifest, without what each commit draws."""

    def read(url: str | Path) -> dict[str, bytes | str]:
        store = open_store(str(url))
        return {key: _comparable(key, store.read_bytes(key)) for key in store.list("cases")}

    return read


def _comparable(key: str, data: bytes) -> bytes | str:
    if key.count("/") != 2 or not key.endswith("zarr.json"):
        return data
    return RootDocument.from_bytes(data, key).manifest.model_copy(update={"write_id": ""}).model_dump_json()


def _write(path: Path, array: npt.NDArray[Any]) -> Path:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.8, 0.8, 1.5))
    image.SetDirection((-1, 0, 0, 0, -1, 0, 0, 0, 1))
    sitk.WriteImage(image, str(path))
    return path
