"""A small labelled body as files: a sacrum, a vertebra, two hips and a liver, in voxels of 6 mm."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk

NAMES = {1: "sacrum", 2: "hip_left", 3: "hip_right", 4: "vertebrae_S1", 5: "liver"}


@pytest.fixture
def body() -> npt.NDArray[np.uint8]:
    ids = np.zeros((24, 24, 40), np.uint8)
    ids[2:8, 12:18, 16:24] = 1
    ids[8:11, 10:18, 16:24] = 4
    ids[1:10, 8:16, 27:33] = 2
    ids[1:10, 8:16, 7:13] = 3
    ids[14:22, 6:16, 8:18] = 5
    return ids


def save(path: Path, array: npt.NDArray[np.uint8], direction_xyz: tuple[float, ...] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((6.0, 6.0, 6.0))
    if direction_xyz is not None:
        image.SetDirection(direction_xyz)
    sitk.WriteImage(image, str(path))
    return path


@pytest.fixture
def label_file(tmp_path: Path, body: npt.NDArray[np.uint8]) -> Path:
    (tmp_path / "labels.json").write_text(json.dumps({str(id_): name for id_, name in NAMES.items()}))
    return save(tmp_path / "body.nii.gz", body)


@pytest.fixture
def mask_folder(tmp_path: Path, body: npt.NDArray[np.uint8]) -> Path:
    for id_, name in NAMES.items():
        save(tmp_path / "s1" / "segmentations" / f"{name}.nii.gz", (body == id_).astype(np.uint8))
    return tmp_path / "s1"
