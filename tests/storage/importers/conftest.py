"""Builds small datasets in the layouts that are understood."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK as sitk  # its own documentation's name

Array = npt.NDArray[Any]


@pytest.fixture
def hu() -> Array:
    return np.random.default_rng(7).integers(-1000, 1500, (4, 5, 6)).astype(np.int16)


@pytest.fixture
def labels(hu: Array) -> Array:
    """Voxels of 1 and 2 among background."""
    return (hu % 3).astype(np.uint8)


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Save an array under a path below the test's folder; arrays of one shape share one grid."""

    def save_it(name: str, array: Array) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = sitk.GetImageFromArray(array)
        image.SetSpacing((0.7, 0.5, 2.0))
        sitk.WriteImage(image, str(path))
        return path

    return save_it


@pytest.fixture
def save_json(tmp_path: Path) -> Callable[..., Path]:
    """Save a value as JSON under a path below the test's folder."""

    def save_it(name: str, value: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value))
        return path

    return save_it
